#include "agent/cache/check.h"

#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "common/limits.h"

namespace agent {
namespace {

using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::lmdb::Cursor;
using common::lmdb::ReadTxn;

template <class... Args>
Status Broken(fmt::format_string<Args...> format, Args&&... args) {
  return Error(StatusCode::kDataLoss, format, std::forward<Args>(args)...);
}

// Adds up what is stored in a slot, verifying each entry.
Status SumEntries(const ReadTxn& txn, common::lmdb::Dbi dbi, const common::Collection& collection,
                  Generation& sum) {
  ASSIGN_OR_RETURN(Cursor cursor, Cursor::Open(txn, dbi));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    const std::optional<EntryRecord> record = VerifyEntryRecord(cursor.key(), cursor.value());
    if (!record) return Broken("entry '{}' does not match its checksum", cursor.key());
    if (!collection.Covers(cursor.key())) return Broken("entry '{}' is foreign", cursor.key());
    ++sum.entries;
    sum.bytes += cursor.key().size() + record->entry.value.size();
    sum.digest += record->hash;
    sum.greatest_key = cursor.key();
    RETURN_IF_ERROR(cursor.Next());
  }
  return OkStatus();
}

Status CheckGeneration(const Environment& environment, const ReadTxn& txn,
                       const common::Collection& collection, const Generation& generation) {
  Generation sum;
  RETURN_IF_ERROR(SumEntries(txn, environment.slots.Dbi(generation.slot), collection, sum));
  if (sum.entries != generation.entries || sum.bytes != generation.bytes) {
    return Broken("{} entries of {} bytes are stored, {} of {} are recorded", sum.entries,
                  sum.bytes, generation.entries, generation.bytes);
  }
  if (sum.digest != generation.digest) {
    return Broken("the entries have digest {}, {} is recorded", FormatDigest(sum.digest),
                  FormatDigest(generation.digest));
  }
  if (sum.greatest_key > generation.greatest_key) {
    return Broken("'{}' is stored behind the greatest key '{}'", sum.greatest_key,
                  generation.greatest_key);
  }
  return OkStatus();
}

Status CheckStaged(const Environment& environment, const ReadTxn& txn, const CopyRecord& record) {
  for (std::uint64_t ordinal = 0; ordinal < record.staged; ++ordinal) {
    ASSIGN_OR_RETURN(const std::optional<std::string_view> bytes,
                     txn.Get(environment.staging, StagingKey(record.id, ordinal)));
    if (!bytes) return Broken("staged change {} is missing", ordinal);
    const std::optional<StagedChange> change = ParseStagedChange(*bytes);
    if (!change) return Broken("staged change {} is malformed", ordinal);
    if (change->record.empty() || VerifyEntryRecord(change->key, change->record)) continue;
    return Broken("staged change {} does not match its checksum", ordinal);
  }
  return OkStatus();
}

// Each slot belongs to one generation at most; the others are empty.
Status CheckSlots(const Environment& environment, const ReadTxn& txn,
                  const std::vector<CopyRecord>& records) {
  std::set<std::uint32_t> used;
  for (const CopyRecord& record : records) {
    for (const std::optional<Generation>* generation : {&record.ready, &record.loading}) {
      if (!generation->has_value() || used.insert((*generation)->slot).second) continue;
      return Broken("slot {} is used twice", (*generation)->slot);
    }
  }
  for (std::uint32_t slot = 0; slot < common::kGenerationsMax; ++slot) {
    const common::lmdb::Dbi dbi = environment.slots.Dbi(slot);
    if (dbi == 0 || used.contains(slot)) continue;
    ASSIGN_OR_RETURN(const std::size_t count, txn.Count(dbi));
    if (count != 0) return Broken("free slot {} holds {} entries", slot, count);
  }
  return OkStatus();
}

Status CheckCopy(const Environment& environment, const ReadTxn& txn, const CopyRecord& record) {
  if (record.denial != Denial::kNone && (record.ready || record.loading)) {
    return Broken("a denied copy has data");
  }
  if (record.ready) {
    RETURN_IF_ERROR(CheckGeneration(environment, txn, record.collection, *record.ready));
  }
  if (record.loading) {
    RETURN_IF_ERROR(CheckGeneration(environment, txn, record.collection, *record.loading));
  }
  return CheckStaged(environment, txn, record);
}

}  // namespace

Status CheckEnvironment(const Environment& environment) {
  ASSIGN_OR_RETURN(const ReadTxn txn, environment.env.BeginRead());
  ASSIGN_OR_RETURN(const std::vector<CopyRecord> records, ReadCopies(environment, txn));
  RETURN_IF_ERROR(CheckSlots(environment, txn, records));
  std::uint64_t staged = 0;
  std::set<common::Collection> collections;
  for (const CopyRecord& record : records) {
    const std::string name = CollectionName(record.collection);
    if (!collections.insert(record.collection).second) return Broken("two copies of {}", name);
    RETURN_IF_ERROR(common::Annotate(CheckCopy(environment, txn, record), name));
    staged += record.staged;
  }
  ASSIGN_OR_RETURN(const std::size_t stored, txn.Count(environment.staging));
  if (stored == staged) return OkStatus();
  return Broken("{} staged changes are stored, {} are recorded", stored, staged);
}

}  // namespace agent
