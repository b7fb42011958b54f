// Check: is a store whole? For tests, the simulation and offline inspection; reads everything.
//
// Thread: any.  Lifetime: pure functions over one snapshot.
#pragma once

#include <string_view>

#include "control-plane/store/lmdb_store.h"
#include "control-plane/store/store.h"

namespace cp {

// One dataset through the interface: entries in key order, each encoded as it should be; exactly
// one change per key; sums and digest as recomputed from the entries; no position beyond the head,
// no tombstone below the floor. DATA_LOSS names the first fault.
common::Status CheckDataset(const View& view, std::string_view name);

// Every declared dataset of any store.
common::Status CheckStore(const Store& store);

// Every dataset, withdrawn ones as well, and that no row is left over that belongs to none.
common::Status CheckLmdbStore(const LmdbStore& store);

}  // namespace cp
