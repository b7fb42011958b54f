// Compactor: drops in small steps what the store need not remember any longer.
//
// Thread: the transaction's.  Lifetime: one transaction; CompactionProgress lives with the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/lmdb.h"
#include "control-plane/store/layout.h"
#include "control-plane/store/tables.h"

namespace cp {

// Where the next step goes on; empty: from the start.
struct CompactionProgress {
  std::string dataset;
  std::string publisher;
};

class Compactor {
 public:
  // As Store::Compact says.
  Compactor(const Tables& tables, common::lmdb::WriteTxn& txn, std::int64_t before_ms,
            std::uint64_t tombstones_max, std::size_t budget)
      : tables_(tables),
        txn_(txn),
        before_ms_(before_ms),
        tombstones_max_(tombstones_max),
        budget_(budget) {}

  // True: the budget is used up and more may be left.
  common::StatusOr<bool> Step(CompactionProgress& progress);

 private:
  using NamedDataset = std::pair<std::string, layout::DatasetRecord>;

  bool Spend();
  common::Status DropPublishers(std::string& next, std::size_t count_max);
  common::Status PurgeDatasets();
  // True: no row with `prefix` is left.
  common::StatusOr<bool> DropRows(common::lmdb::Dbi dbi, std::string_view prefix);
  common::Status TrimDatasets(std::string& next);
  // The datasets from `next` on that need work, as far as the budget goes.
  common::StatusOr<std::vector<NamedDataset>> FindWork(std::string& next);
  common::Status TrimDataset(const std::string& name, layout::DatasetRecord record);
  common::Status DropTombstones(layout::DatasetRecord& record);
  bool IsPurgeDue(const layout::DatasetRecord& record) const {
    return record.withdrawn_ms != 0 && record.withdrawn_ms < before_ms_;
  }

  const Tables& tables_;
  common::lmdb::WriteTxn& txn_;
  const std::int64_t before_ms_;
  const std::uint64_t tombstones_max_;
  std::size_t budget_;
};

}  // namespace cp
