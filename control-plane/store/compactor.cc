#include "control-plane/store/compactor.h"

namespace cp {

namespace lmdb = common::lmdb;

bool Compactor::Spend() {
  if (budget_ == 0) return false;
  --budget_;
  return true;
}

common::StatusOr<bool> Compactor::Step(CompactionProgress& progress) {
  // A walk of its own around all publishers, slow and without end: it never asks for more steps.
  RETURN_IF_ERROR(DropPublishers(progress.publisher, budget_ / 4 + 1));
  ASSIGN_OR_RETURN(const bool purged, PurgeDatasets());
  if (!purged) return true;
  ASSIGN_OR_RETURN(const bool trimmed, TrimDatasets(progress.dataset));
  return !trimmed;
}

common::Status Compactor::DropPublishers(std::string& next, std::size_t count_max) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.publishers));
  RETURN_IF_ERROR(cursor.Seek(next));
  for (std::size_t count = 0; count < count_max && cursor.valid(); ++count) {
    ASSIGN_OR_RETURN(const auto publisher, layout::DecodePublisher(cursor.value()));
    RETURN_IF_ERROR(publisher.seen_ms < before_ms_ ? cursor.DeleteCurrent() : cursor.Next());
  }
  next = cursor.valid() ? cursor.key() : std::string_view();
  return common::OkStatus();
}

common::StatusOr<bool> Compactor::PurgeDatasets() {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.purging));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    const std::string id(cursor.key());
    for (const lmdb::Dbi dbi :
         {tables_.entries, tables_.changes, tables_.tombstones, tables_.removals}) {
      ASSIGN_OR_RETURN(const bool empty, DropRows(dbi, id));
      if (!empty) return false;
    }
    RETURN_IF_ERROR(cursor.DeleteCurrent());
  }
  return true;
}

common::StatusOr<bool> Compactor::DropRows(lmdb::Dbi dbi, std::string_view prefix) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, dbi));
  RETURN_IF_ERROR(cursor.Seek(prefix));
  while (cursor.valid() && cursor.key().starts_with(prefix)) {
    if (!Spend()) return false;
    if (dbi == tables_.entries) RETURN_IF_ERROR(DropExpiry(cursor.key(), cursor.value()));
    RETURN_IF_ERROR(cursor.DeleteCurrent());
  }
  return true;
}

common::Status Compactor::DropExpiry(std::string_view key, std::string_view value) {
  ASSIGN_OR_RETURN(const layout::EntryRecord record, layout::DecodeEntry(value));
  const common::EntryView entry = common::EntryOfResource(record.resource);
  if (entry.expires_at_ms == 0) return common::OkStatus();
  std::string row_key;
  layout::ExpiryKey(entry.expires_at_ms, key, row_key);
  return txn_.Delete(tables_.expiries, row_key).status();
}

common::StatusOr<bool> Compactor::TrimDatasets(std::string& next) {
  while (Spend()) {
    ASSIGN_OR_RETURN(const auto found, DatasetFrom(next));
    if (!found) {
      next.clear();
      return true;
    }
    const auto& [name, record] = *found;
    next = name;
    ASSIGN_OR_RETURN(const bool done, TrimDataset(name, record));
    if (done) next.push_back('\0');  // the next name sorts behind it
  }
  return false;
}

common::StatusOr<std::optional<Compactor::NamedDataset>> Compactor::DatasetFrom(
    std::string_view name) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.datasets));
  RETURN_IF_ERROR(cursor.Seek(name));
  if (!cursor.valid()) return std::optional<NamedDataset>();
  ASSIGN_OR_RETURN(const layout::DatasetRecord record, layout::DecodeDataset(cursor.value()));
  return std::optional(NamedDataset(cursor.key(), record));
}

common::StatusOr<bool> Compactor::TrimDataset(const std::string& name,
                                              layout::DatasetRecord record) {
  if (record.withdrawn_ms != 0 && record.withdrawn_ms < before_ms_) {
    std::string id;
    layout::IdKey(record.state.id, id);
    RETURN_IF_ERROR(txn_.Delete(tables_.datasets, name).status());
    RETURN_IF_ERROR(txn_.Put(tables_.purging, id, {}));
    return true;
  }
  const std::uint64_t tombstones = record.tombstones;
  if (tombstones == 0) return true;
  ASSIGN_OR_RETURN(const bool done, DropTombstones(record));
  if (record.tombstones != tombstones) {
    RETURN_IF_ERROR(txn_.Put(tables_.datasets, name, layout::EncodeDataset(record)));
  }
  return done;
}

common::StatusOr<bool> Compactor::DropTombstones(layout::DatasetRecord& record) {
  std::string id, row_key;
  layout::IdKey(record.state.id, id);
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.removals));
  RETURN_IF_ERROR(cursor.Seek(id));
  while (cursor.valid() && cursor.key().starts_with(id)) {
    ASSIGN_OR_RETURN(const layout::RemovalRecord removal, layout::DecodeRemoval(cursor.value()));
    const bool due = removal.removed_ms < before_ms_ || record.tombstones > tombstones_max_;
    if (!due) return true;
    layout::EntryKey(record.state.id, removal.key, row_key);
    record.state.floor = layout::PositionOfKey(cursor.key()).revision;
    record.tombstones -= 1;
    RETURN_IF_ERROR(cursor.DeleteCurrent());
    RETURN_IF_ERROR(txn_.Delete(tables_.tombstones, row_key).status());
    if (!Spend()) return false;  // here, so that every step gets on by one at least
  }
  return true;
}

}  // namespace cp
