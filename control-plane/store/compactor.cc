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
  RETURN_IF_ERROR(PurgeDatasets());
  RETURN_IF_ERROR(TrimDatasets(progress.dataset));
  return budget_ == 0;
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

common::Status Compactor::PurgeDatasets() {
  while (budget_ > 0) {
    std::string id;
    {
      ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.purging));
      RETURN_IF_ERROR(cursor.First());
      if (!cursor.valid()) break;
      id = cursor.key();
    }
    bool empty = true;
    for (const lmdb::Dbi dbi :
         {tables_.entries, tables_.changes, tables_.tombstones, tables_.removals}) {
      if (!empty) break;
      ASSIGN_OR_RETURN(empty, DropRows(dbi, id));
    }
    if (empty) RETURN_IF_ERROR(txn_.Delete(tables_.purging, id).status());
  }
  return common::OkStatus();
}

common::StatusOr<bool> Compactor::DropRows(lmdb::Dbi dbi, std::string_view prefix) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, dbi));
  RETURN_IF_ERROR(cursor.Seek(prefix));
  while (cursor.valid() && cursor.key().starts_with(prefix)) {
    if (!Spend()) return false;
    RETURN_IF_ERROR(cursor.DeleteCurrent());
  }
  return true;
}

common::Status Compactor::TrimDatasets(std::string& next) {
  ASSIGN_OR_RETURN(const std::vector<NamedDataset> work, FindWork(next));
  for (const auto& [name, record] : work) {
    if (budget_ == 0) {
      next = name;
      break;
    }
    RETURN_IF_ERROR(TrimDataset(name, record));
  }
  return common::OkStatus();
}

common::StatusOr<std::vector<Compactor::NamedDataset>> Compactor::FindWork(std::string& next) {
  std::vector<NamedDataset> work;
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.datasets));
  RETURN_IF_ERROR(cursor.Seek(next));
  while (cursor.valid() && Spend()) {
    ASSIGN_OR_RETURN(const layout::DatasetRecord record, layout::DecodeDataset(cursor.value()));
    if (IsPurgeDue(record) || record.tombstones > 0) work.emplace_back(cursor.key(), record);
    RETURN_IF_ERROR(cursor.Next());
  }
  next = cursor.valid() ? cursor.key() : std::string_view();
  return work;
}

common::Status Compactor::TrimDataset(const std::string& name, layout::DatasetRecord record) {
  if (IsPurgeDue(record)) {
    std::string id;
    layout::IdKey(record.state.id, id);
    RETURN_IF_ERROR(txn_.Delete(tables_.datasets, name).status());
    return txn_.Put(tables_.purging, id, {});
  }
  const std::uint64_t tombstones = record.tombstones;
  RETURN_IF_ERROR(DropTombstones(record));
  if (record.tombstones == tombstones) return common::OkStatus();
  return txn_.Put(tables_.datasets, name, layout::EncodeDataset(record));
}

common::Status Compactor::DropTombstones(layout::DatasetRecord& record) {
  std::string id, row_key;
  layout::IdKey(record.state.id, id);
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.removals));
  RETURN_IF_ERROR(cursor.Seek(id));
  while (cursor.valid() && cursor.key().starts_with(id)) {
    ASSIGN_OR_RETURN(const layout::RemovalRecord removal, layout::DecodeRemoval(cursor.value()));
    const bool due = removal.removed_ms < before_ms_ || record.tombstones > tombstones_max_;
    if (!due || !Spend()) break;
    layout::EntryKey(record.state.id, removal.key, row_key);
    record.state.floor = layout::PositionOfKey(cursor.key()).revision;
    record.tombstones -= 1;
    RETURN_IF_ERROR(cursor.DeleteCurrent());
    RETURN_IF_ERROR(txn_.Delete(tables_.tombstones, row_key).status());
  }
  return common::OkStatus();
}

}  // namespace cp
