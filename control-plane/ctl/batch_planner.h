// BatchPlanner: which records of an import travel together.
//
// Thread: one owner.  Lifetime: value.
// Pure: the batches depend on the records alone, so an import that is run again cuts them alike and
// can skip those that were applied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "control-plane/ctl/record_reader.h"
#include "tributary/v1/publisher.pb.h"

namespace ctl {

class BatchPlanner {
 public:
  BatchPlanner(std::string dataset, std::size_t entries_max, std::size_t bytes_max)
      : dataset_(std::move(dataset)), entries_max_(entries_max), bytes_max_(bytes_max) {}

  // The batch that `record` no longer fits into, if it does not. One record always fits.
  std::optional<tributary::v1::Batch> Add(Record record);
  // What is left; absent: nothing.
  std::optional<tributary::v1::Batch> Finish();

 private:
  tributary::v1::Batch Take();

  const std::string dataset_;
  const std::size_t entries_max_;
  const std::size_t bytes_max_;
  tributary::v1::Batch batch_;
  std::size_t bytes_ = 0;
  std::uint64_t sequence_ = 0;
};

}  // namespace ctl
