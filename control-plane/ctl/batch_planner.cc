#include "control-plane/ctl/batch_planner.h"

#include <utility>

namespace ctl {

std::optional<tributary::v1::Batch> BatchPlanner::Add(Record record) {
  const std::size_t bytes = record.key.size() + record.value.size();
  std::optional<tributary::v1::Batch> full;
  const bool fits =
      static_cast<std::size_t>(batch_.writes_size()) < entries_max_ && bytes_ + bytes <= bytes_max_;
  if (batch_.writes_size() > 0 && !fits) full = Take();
  tributary::v1::Write& write = *batch_.add_writes();
  write.set_dataset(dataset_);
  write.set_key(std::move(record.key));
  write.set_put(std::move(record.value));
  bytes_ += bytes;
  return full;
}

std::optional<tributary::v1::Batch> BatchPlanner::Finish() {
  if (batch_.writes_size() == 0) return std::nullopt;
  return Take();
}

tributary::v1::Batch BatchPlanner::Take() {
  batch_.set_sequence(++sequence_);
  bytes_ = 0;
  return std::exchange(batch_, {});
}

}  // namespace ctl
