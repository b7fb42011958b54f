// Writer: what a full map or disk lets through.
//
// Both keep something back for what makes room: LMDB copies the pages it changes, also to delete.
#include <algorithm>
#include <vector>

#include "agent/cache/writer_impl.h"
#include "common/limits.h"

namespace agent {

using common::Collection;
using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;
using common::lmdb::WriteTxn;

namespace {

constexpr std::size_t kEntryOverheadBytes = 64;  // header and key, nearly

}  // namespace

StatusOr<std::size_t> Writer::Impl::LiveBytes(const common::lmdb::Txn& txn,
                                              const CopyRecord& record) const {
  std::size_t sum = 0;
  const auto add = [&](common::lmdb::Dbi dbi) -> Status {
    ASSIGN_OR_RETURN(const std::size_t bytes, txn.Bytes(dbi));
    sum += bytes;
    return OkStatus();
  };
  const auto add_copy = [&](const CopyRecord& copy) -> Status {
    for (const auto& generation : {copy.ready, copy.loading}) {
      if (generation) RETURN_IF_ERROR(add(environment->slots.Dbi(generation->slot)));
    }
    return OkStatus();
  };
  for (const common::lmdb::Dbi dbi :
       {environment->meta, environment->copies, environment->staging}) {
    RETURN_IF_ERROR(add(dbi));
  }
  RETURN_IF_ERROR(add_copy(record));
  for (const auto& [collection, copy] : copies) {
    if (collection != record.collection) RETURN_IF_ERROR(add_copy(copy));
  }
  return sum;
}

Status Writer::Impl::CheckRoom(const WriteTxn& txn, const CopyRecord& next) const {
  // One transaction writes what is staged, which is in the file, and a bounded cut.
  if (into_reserve) return OkStatus();
  if (environment->env.used_bytes() * 2 + 4 * common::kApplyBytesMax <= options.map_bytes) {
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const std::size_t after, LiveBytes(txn, next));
  if (after <= options.map_bytes) return OkStatus();
  ASSIGN_OR_RETURN(const common::lmdb::ReadTxn read, environment->env.BeginRead());
  ASSIGN_OR_RETURN(const std::size_t before, LiveBytes(read, copies.at(next.collection)));
  if (after <= before) return OkStatus();
  return Error(StatusCode::kResourceExhausted,
               "the copies' file is full: {} bytes are needed, --max-map-size allows {}", after,
               options.map_bytes);
}

// Whether a cut leaves less in the copy than there is: such a cut may use the reserves.
bool Writer::Impl::Shrinks(const CopyRecord& record, std::span<const Change> changes) const {
  if (!record.ready || record.staged != 0) return false;
  const auto txn = environment->env.BeginRead();
  if (!txn.ok()) return false;
  const common::lmdb::Dbi dbi = environment->slots.Dbi(record.ready->slot);
  std::size_t before = 0, after = 0;
  for (const Change& change : changes) {
    const auto stored = txn->Get(dbi, change.key);
    if (stored.ok() && stored->has_value()) before += (*stored)->size();
    if (change.entry) after += change.entry->value.size() + kEntryOverheadBytes;
  }
  return after < before;
}

Status Writer::Impl::TransactCut(const Collection& collection, Kind kind,
                                 std::span<const Change> changes, const Cut& cut) {
  const auto with = [&](std::span<const Change> all) {
    return Transact(collection, kind,
                    [&](WriteTxn& txn, CopyRecord& record) { return cut(txn, record, all); });
  };
  Status status = with(changes);
  const bool full = status.code() == StatusCode::kResourceExhausted && kind == Kind::kEntries;
  if (full && Shrinks(copies.at(collection), changes)) {
    // In key order a page that is emptied is free for the next one.
    std::vector<Change> sorted(changes.begin(), changes.end());
    std::ranges::stable_sort(sorted, {}, &Change::key);
    reserve.Release();
    into_reserve = true;
    status = with(sorted);
    into_reserve = false;
  }
  if (status.ok() || full) reserve.Hold();  // if it was given away; without room, at a later cut
  return status;
}

}  // namespace agent
