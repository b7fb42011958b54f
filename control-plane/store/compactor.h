// Compactor: drops in small steps what the store need not remember any longer.
//
// Thread: the transaction's.  Lifetime: one transaction; CompactionProgress lives with the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

  // True: the budget is used up and more is left.
  common::StatusOr<bool> Step(CompactionProgress& progress);

 private:
  using NamedDataset = std::pair<std::string, layout::DatasetRecord>;

  bool Spend();
  common::Status DropPublishers(std::string& next, std::size_t count_max);
  // True, here and below: all done; false: the budget is used up.
  common::StatusOr<bool> PurgeDatasets();
  common::StatusOr<bool> DropRows(common::lmdb::Dbi dbi, std::string_view prefix);
  common::Status DropExpiry(std::string_view key, std::string_view value);
  common::StatusOr<bool> TrimDatasets(std::string& next);
  // The first dataset whose name does not sort before `name`; absent: there is none.
  common::StatusOr<std::optional<NamedDataset>> DatasetFrom(std::string_view name);
  common::StatusOr<bool> TrimDataset(const std::string& name, layout::DatasetRecord record);
  common::StatusOr<bool> DropTombstones(layout::DatasetRecord& record);

  const Tables& tables_;
  common::lmdb::WriteTxn& txn_;
  const std::int64_t before_ms_;
  const std::uint64_t tombstones_max_;
  std::size_t budget_;
};

}  // namespace cp
