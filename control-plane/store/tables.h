// Tables: the store's databases inside its LMDB environment, opened and checked.
//
// Thread: any; handles are plain numbers.  Lifetime: value; the environment outlives it.
#pragma once

#include <array>
#include <string_view>

#include "common/lmdb.h"
#include "control-plane/store/layout.h"

namespace cp {

struct Tables {
  common::lmdb::Dbi meta = 0, declarations = 0, datasets = 0, entries = 0, tombstones = 0;
  common::lmdb::Dbi changes = 0, removals = 0, publishers = 0, expiries = 0, purging = 0;
};
inline constexpr unsigned kTablesMax = 10;

// In the order by which the redo log names them: append only.
inline std::array<common::lmdb::Dbi, kTablesMax> AllTables(const Tables& t) {
  return {t.meta,    t.declarations, t.datasets,   t.entries,  t.tombstones,
          t.changes, t.removals,     t.publishers, t.expiries, t.purging};
}

// Opens the tables; an empty environment gets new ones and a new epoch; the format before this one
// is brought up to date. REQUIRES: commits flush. `dir` is for messages.
// FAILED_PRECONDITION: the directory is not a control plane's, or a newer version's.
common::StatusOr<Tables> OpenTables(common::lmdb::Env& env, std::string_view dir);

// For a restore, which writes the tables first and `meta` last: a directory without `meta` is never
// taken for a store.
common::StatusOr<Tables> OpenDataTables(common::lmdb::Env& env);
struct MetaValues {
  Epoch epoch = 0;
  Revision head = 0;
  std::uint32_t next_dataset = 1;
};
common::Status WriteMeta(common::lmdb::WriteTxn& txn, const MetaValues& values);

// NOT_FOUND never: a missing value is DATA_LOSS.
common::StatusOr<std::uint32_t> ReadMeta32(const common::lmdb::Txn& txn, const Tables& tables,
                                           std::string_view name);
common::StatusOr<std::uint64_t> ReadMeta64(const common::lmdb::Txn& txn, const Tables& tables,
                                           std::string_view name);

// Absent: no such dataset.
common::StatusOr<std::optional<layout::DatasetRecord>> ReadDataset(const common::lmdb::Txn& txn,
                                                                   const Tables& tables,
                                                                   std::string_view name);

}  // namespace cp
