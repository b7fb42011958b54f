// GroupWriter: applies one group to the tables, inside a write transaction that the caller owns.
//
// Thread: the transaction's.  Lifetime: one transaction; abandon both after any error.
// A batch is applied whole: whatever can be refused is refused before its first write, and any
// later failure is the transaction's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/entry.h"
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
  // As Store::Expire says.
  common::StatusOr<Expired> Expire(std::size_t count_max);
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
  // What an entry was when it was looked at; views point into the transaction.
  struct Old {
    common::Version version;
    common::EntryView entry;
  };
  // Absent: there is none, or it has expired.
  common::StatusOr<std::optional<Old>> FindLive(const Dataset& dataset, std::string_view key);
  common::StatusOr<bool> Holds(const Check& check);
  // REQUIRES: there is no live entry now.
  common::StatusOr<bool> StayedAbsent(const Dataset& dataset, const Check& check);
  common::StatusOr<Outcome> ApplyWrites(const Batch& batch);
  enum class Done { kChanged, kNothing, kSkipped };
  common::StatusOr<Done> ApplyWrite(Dataset& dataset, const Write& write, Position position,
                                    Outcome& outcome);
  common::Status Put(Dataset& dataset, const Write& write, Position position,
                     std::int64_t expires_at_ms);
  // False: there was nothing to delete.
  common::StatusOr<bool> Delete(Dataset& dataset, std::string_view key, Position position);
  // Takes an entry's old state out of the sums, the change index and the expiries.
  common::Status DropOld(Dataset& dataset, std::string_view key, std::string_view record);
  common::Status ExpireOne(std::string_view row, Position position, Expired& expired);
  common::StatusOr<Dataset*> FindDatasetById(std::uint32_t id, std::string& name);
  common::Status DropTombstone(Dataset& dataset, std::string_view key);
  common::Status AddChange(const Dataset& dataset, Position position, std::string_view key);
  void EncodeEntry(const Write& write, Position position, std::int64_t expires_at_ms);

  const Tables& tables_;
  const Epoch epoch_;
  common::lmdb::WriteTxn& txn_;
  const std::int64_t now_ms_;
  Revision head_ = 0;
  std::uint32_t next_dataset_ = 0;
  std::map<std::string, Dataset, std::less<>> datasets_;  // touched so far
  std::map<std::string, layout::PublisherRecord, std::less<>> publishers_;
  std::map<std::uint32_t, std::string> names_;  // of datasets by id, once needed
  std::string last_change_;                     // no key of `changes` sorts after it

  // Reused from row to row.
  std::string row_key_, position_key_, record_, payload_, name_, version_, expiry_key_;
};

}  // namespace cp
