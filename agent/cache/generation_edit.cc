#include "agent/cache/generation_edit.h"

#include <optional>

#include "agent/cache/place_index.h"

namespace agent {

using common::StatusOr;

void GenerationEdit::Note(std::string_view key) {
  if (changed_ != nullptr) changed_->Add(PlaceHash(generation_.serial, key));
}

void GenerationEdit::Count(std::string_view key, const EntryRecord& record) {
  ++generation_.entries;
  generation_.bytes += key.size() + record.entry.value.size();
  generation_.digest += record.hash;
}

// Takes what is stored under `key` out of the totals; absent: nothing is.
StatusOr<std::optional<GenerationEdit::Before>> GenerationEdit::Uncount(std::string_view key) {
  ASSIGN_OR_RETURN(const std::optional<std::string_view> stored, txn_.Get(dbi_, key));
  if (!stored) return std::optional<Before>();
  const std::optional<EntryRecord> record = ParseEntryRecord(*stored);
  if (!record) return common::Error(common::StatusCode::kDataLoss, "a stored entry is malformed");
  --generation_.entries;
  generation_.bytes -= key.size() + record->entry.value.size();
  generation_.digest -= record->hash;
  return std::optional(Before{.version = record->version, .absent = record->absent});
}

common::Status GenerationEdit::Append(std::string_view key, std::string_view record) {
  if (!end_) {
    ASSIGN_OR_RETURN(common::lmdb::Cursor cursor, common::lmdb::Cursor::Open(txn_, dbi_));
    end_.emplace(std::move(cursor));
  }
  return end_->Append(key, record);
}

StatusOr<bool> GenerationEdit::Put(std::string_view key, std::string_view bytes,
                                   const EntryRecord& record) {
  Note(key);
  if (key > generation_.greatest_key) {
    RETURN_IF_ERROR(Append(key, bytes));
    generation_.greatest_key = key;
    Count(key, record);
    return true;
  }
  ASSIGN_OR_RETURN(const std::optional<Before> before, Uncount(key));
  RETURN_IF_ERROR(txn_.Put(dbi_, key, bytes));
  Count(key, record);
  if (!before || before->absent != record.absent) return true;
  return !record.absent && before->version != record.version;
}

StatusOr<bool> GenerationEdit::PutStored(std::string_view key, std::string_view bytes) {
  const std::optional<EntryRecord> record = ParseEntryRecord(bytes);
  if (!record) return common::Error(common::StatusCode::kDataLoss, "a stored entry is malformed");
  return Put(key, bytes, *record);
}

StatusOr<bool> GenerationEdit::Remove(std::string_view key) {
  Note(key);
  ASSIGN_OR_RETURN(const std::optional<Before> before, Uncount(key));
  if (!before) return false;
  ASSIGN_OR_RETURN(const bool deleted, txn_.Delete(dbi_, key));
  CHECK(deleted);
  return true;
}

common::Status GenerationEdit::Renew(std::string_view key, const common::Version& version,
                                     std::int64_t expires_at_ms) {
  ASSIGN_OR_RETURN(const std::optional<std::string_view> stored, txn_.Get(dbi_, key));
  if (!stored) return common::OkStatus();
  const std::optional<EntryRecord> record = VerifyEntryRecord(key, *stored);
  if (!record) return common::Error(common::StatusCode::kDataLoss, "a stored entry is malformed");
  if (record->version != version) return common::OkStatus();
  Note(key);
  common::EntryView entry = record->entry;
  entry.expires_at_ms = expires_at_ms;
  std::string renewed;
  AppendEntryRecord(key, version, entry, renewed, record->version_text);
  return txn_.Put(dbi_, key, renewed);
}

bool GenerationEdit::Has(std::string_view key) const {
  const auto stored = txn_.Get(dbi_, key);
  return stored.ok() && stored->has_value();
}

}  // namespace agent
