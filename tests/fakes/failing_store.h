// FailingStore: another store whose n-th commit fails and changes nothing.
//
// Thread: as Store says; FailCommit from the thread that commits.  Lifetime: the wrapped store
// outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "control-plane/store/store.h"

namespace cp {

class FailingStore final : public Store {
 public:
  explicit FailingStore(Store& store) : store_(store) {}

  // The n-th commit from now on (1: the next) fails with `status`; those after it do not.
  void FailCommit(std::uint64_t n, common::Status status) {
    fail_at_ = commits_ + n;
    failure_ = std::move(status);
  }
  std::uint64_t commits() const { return commits_; }  // tried, failed ones as well

  common::StatusOr<std::vector<Outcome>> Commit(const Group& group) override {
    if (++commits_ == fail_at_) return failure_;
    return store_.Commit(group);
  }

  Epoch epoch() const override { return store_.epoch(); }
  common::StatusOr<std::unique_ptr<View>> OpenView() const override { return store_.OpenView(); }
  CatalogPtr catalog() const override { return store_.catalog(); }
  common::StatusOr<std::uint64_t> LastSequence(std::string_view publisher_id) const override {
    return store_.LastSequence(publisher_id);
  }
  common::StatusOr<bool> Compact(std::int64_t before_ms, std::uint64_t count_max,
                                 std::size_t budget) override {
    return store_.Compact(before_ms, count_max, budget);
  }
  common::StatusOr<Expired> Expire(std::int64_t now_ms, std::size_t count_max) override {
    return store_.Expire(now_ms, count_max);
  }
  std::optional<std::int64_t> next_expiry_ms() const override { return store_.next_expiry_ms(); }
  std::size_t bytes_used() const override { return store_.bytes_used(); }

 private:
  Store& store_;
  std::uint64_t commits_ = 0;
  std::uint64_t fail_at_ = 0;
  common::Status failure_;
};

}  // namespace cp
