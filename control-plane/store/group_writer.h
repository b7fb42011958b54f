// GroupWriter: applies one group to the tables, inside a write transaction that the caller owns.
//
// Thread: the transaction's.  Lifetime: one transaction; abandon both after any error.
// A batch is applied whole: whatever can be refused is refused before its first write, and any
// later failure is the transaction's.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/lmdb.h"
#include "control-plane/store/layout.h"
#include "control-plane/store/tables.h"

namespace cp {

class GroupWriter {
 public:
  GroupWriter(const Tables& tables, Epoch epoch, common::lmdb::WriteTxn& txn, std::int64_t now_ms)
      : tables_(tables), epoch_(epoch), txn_(txn), now_ms_(now_ms) {}

  // First of all: reads where the store stands.
  common::Status Start();
  common::Status Declare(const DeclarationChange& change);
  common::StatusOr<Outcome> Apply(const Batch& batch);
  common::Status Forget(std::string_view publisher_id);
  // Last of all, before the commit.
  common::Status Finish();

 private:
  using Dataset = layout::DatasetRecord;

  common::Status DeclareDataset(std::string_view name, bool declared);
  // Null: no such dataset.
  common::StatusOr<Dataset*> FindDataset(std::string_view name);
  common::StatusOr<layout::PublisherRecord*> FindPublisher(std::string_view id);
  common::StatusOr<Outcome> Decide(const Batch& batch);
  common::StatusOr<Outcome> ApplyWrites(const Batch& batch);
  common::Status Put(Dataset& dataset, const Write& write, Position position);
  // False: there was nothing to delete.
  common::StatusOr<bool> Delete(Dataset& dataset, const Write& write, Position position);
  // Takes an entry's old state out of the sums and the change index.
  common::Status DropOld(Dataset& dataset, std::string_view key, std::string_view record);
  common::Status DropTombstone(Dataset& dataset, std::string_view key);
  common::Status AddChange(const Dataset& dataset, Position position, std::string_view key);
  void EncodeEntry(const Write& write, Position position);

  const Tables& tables_;
  const Epoch epoch_;
  common::lmdb::WriteTxn& txn_;
  const std::int64_t now_ms_;
  Revision head_ = 0;
  std::uint32_t next_dataset_ = 0;
  std::map<std::string, Dataset, std::less<>> datasets_;  // touched so far
  std::map<std::string, layout::PublisherRecord, std::less<>> publishers_;
  std::string last_change_;  // no key of `changes` sorts after it

  // Reused from row to row.
  std::string row_key_, position_key_, record_, payload_, name_, version_;
};

}  // namespace cp
