// Writer: what it tells about single entries, keeps of them across a reload, and how
// it makes erased ones vanish from the disk.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/cache/cache.h"
#include "agent/cache/environment.h"
#include "agent/cache/layout.h"
#include "agent/cache/rebuild.h"
#include "agent/cache/writer_impl.h"
#include "common/limits.h"

namespace agent {

using common::Collection;
using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;

namespace {

EntryVersion VersionOf(const EntryRecord& record) {
  return {.version = record.version,
          .text = std::string(record.version_text),
          .expires_at_ms = record.entry.expires_at_ms,
          .bytes = record.entry.value.size(),
          .absent = record.absent};
}

Status Malformed(const Collection& collection) {
  return Error(StatusCode::kDataLoss, "an entry of {} is malformed", CollectionName(collection));
}

}  // namespace

StatusOr<std::optional<EntryVersion>> Writer::Find(const Collection& collection,
                                                   std::string_view key) const {
  const auto found = impl_->copies.find(collection);
  if (found == impl_->copies.end() || !found->second.ready || key.empty()) {
    return std::optional<EntryVersion>();
  }
  const Environment& environment = *impl_->environment;
  ASSIGN_OR_RETURN(const common::lmdb::ReadTxn txn, environment.env.BeginRead());
  ASSIGN_OR_RETURN(const std::optional<std::string_view> bytes,
                   txn.Get(environment.slots.Dbi(found->second.ready->slot), key));
  if (!bytes) return std::optional<EntryVersion>();
  const std::optional<EntryRecord> record = ParseEntryRecord(*bytes);
  if (!record) return Malformed(collection);
  return std::optional(VersionOf(*record));
}

StatusOr<std::optional<EntryCopy>> Writer::Read(const Collection& collection,
                                                std::string_view key) const {
  const auto found = impl_->copies.find(collection);
  if (found == impl_->copies.end() || !found->second.ready || key.empty()) {
    return std::optional<EntryCopy>();
  }
  const Environment& environment = *impl_->environment;
  ASSIGN_OR_RETURN(const common::lmdb::ReadTxn txn, environment.env.BeginRead());
  ASSIGN_OR_RETURN(const std::optional<std::string_view> bytes,
                   txn.Get(environment.slots.Dbi(found->second.ready->slot), key));
  if (!bytes) return std::optional<EntryCopy>();
  const std::optional<EntryRecord> record = VerifyEntryRecord(key, *bytes);
  if (!record) return Malformed(collection);
  return std::optional(EntryCopy{.version = VersionOf(*record),
                                 .value = std::string(record->entry.value),
                                 .content_type = std::string(record->entry.content_type),
                                 .published_at_ms = record->entry.published_at_ms});
}

AccessSketch& Writer::sketch() const { return *impl_->environment->sketch; }

Status Writer::EachVersion(const Collection& collection, const VisitVersion& visit) const {
  const auto found = impl_->copies.find(collection);
  if (found == impl_->copies.end() || !found->second.ready) return OkStatus();
  const Environment& environment = *impl_->environment;
  ASSIGN_OR_RETURN(const common::lmdb::ReadTxn txn, environment.env.BeginRead());
  ASSIGN_OR_RETURN(
      common::lmdb::Cursor cursor,
      common::lmdb::Cursor::Open(txn, environment.slots.Dbi(found->second.ready->slot)));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    const std::optional<EntryRecord> record = ParseEntryRecord(cursor.value());
    if (!record) return Malformed(collection);
    if (!visit(cursor.key(), VersionOf(*record))) break;
    RETURN_IF_ERROR(cursor.Next());
  }
  return OkStatus();
}

Status Writer::Keep(const Collection& collection, std::span<const std::string> keys) {
  return impl_->Transact(
      collection, Impl::Kind::kEntries,
      [&](common::lmdb::WriteTxn& txn, CopyRecord& record) -> Status {
        if (!record.ready || !record.loading) return OkStatus();
        GenerationEdit edit(txn, impl_->environment->slots.Dbi(record.loading->slot),
                            *record.loading, nullptr);
        for (const std::string& key : keys) {
          ASSIGN_OR_RETURN(const std::optional<std::string_view> old,
                           txn.Get(impl_->environment->slots.Dbi(record.ready->slot), key));
          if (!old || edit.Has(key)) continue;
          const std::string bytes(*old);  // the view ends with the write
          RETURN_IF_ERROR(edit.PutStored(key, bytes).status());
        }
        return OkStatus();
      });
}

StatusOr<std::string> Writer::GetMeta(std::string_view name) const {
  const Environment& environment = *impl_->environment;
  ASSIGN_OR_RETURN(const common::lmdb::ReadTxn txn, environment.env.BeginRead());
  ASSIGN_OR_RETURN(const std::optional<std::string_view> value,
                   txn.Get(environment.meta, fmt::format("{}{}", kMetaValuePrefix, name)));
  return std::string(value.value_or(""));
}

Status Writer::SetMeta(std::string_view name, std::string_view value) {
  ASSIGN_OR_RETURN(common::lmdb::WriteTxn txn, impl_->Begin());
  const std::string key = fmt::format("{}{}", kMetaValuePrefix, name);
  if (value.empty()) {
    RETURN_IF_ERROR(txn.Delete(impl_->environment->meta, key).status());
  } else {
    RETURN_IF_ERROR(txn.Put(impl_->environment->meta, key, value));
  }
  RETURN_IF_ERROR(txn.Commit());
  impl_->Committed(Impl::Kind::kEntries);
  return OkStatus();
}

void Notice::Add(std::string_view key, bool deleted, const common::Version& version) {
  if (keys.size() >= common::kChangedKeysMax) too_many = true;
  if (too_many) return;
  std::string name;
  name.reserve(dataset.size() + 1 + key.size());
  name.append(dataset).append(1, '/').append(key);
  keys.push_back({.key = std::move(name), .deleted = deleted, .version = version});
}

void Notice::Send(ChangeListener& listener) {
  if (too_many) {
    listener.OnReplaced(dataset);
  } else if (!keys.empty()) {
    listener.OnChanged(std::move(keys));
  }
}

// --- erasure ------------------------------------------------------------------------------------

Status Writer::Impl::NoteErasure(common::lmdb::WriteTxn& txn, const CopyRecord& record) {
  if (!record.ready && !record.loading && record.staged == 0) return OkStatus();
  return txn.Put(environment->meta, kMetaErasure, "pending");
}

bool Writer::erasure_pending() const { return impl_->erasure_pending; }

Status Writer::FinishErasure() {
  if (!impl_->erasure_pending) return OkStatus();
  ASSIGN_OR_RETURN(std::shared_ptr<Environment> next,
                   RebuildEnvironment(*impl_->environment, impl_->options));
  impl_->environment = next;
  impl_->current.Replace(std::move(next));
  impl_->erasure_pending = false;
  return OkStatus();
}

}  // namespace agent
