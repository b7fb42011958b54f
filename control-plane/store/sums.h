// Sums: a dataset's entries counted and summed up anew, to be held against its record.
//
// Thread: the view's.  Lifetime: pure functions over one snapshot; constant memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/digest.h"
#include "control-plane/store/store.h"

namespace cp {

struct Sums {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // keys + values
  common::Digest digest;
};

// Of all entries with `prefix`; reads each.
common::StatusOr<Sums> SumUp(const View& view, std::uint32_t dataset, std::string_view prefix);

// DATA_LOSS: what `state` says is not what is there.
common::Status CheckSums(const View& view, std::string_view name, const DatasetState& state);

}  // namespace cp
