// MeteredStore: a Store that measures the commits of another.
//
// Thread: as Store.  Lifetime: owns the other store.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics.h"
#include "control-plane/store/backup.h"
#include "control-plane/store/store.h"

namespace cp {

class MeteredStore final : public Store {
 public:
  MeteredStore(std::unique_ptr<Store> store, common::Metrics& metrics)
      : store_(std::move(store)),
        seconds_(metrics.AddHistogram("tributary_control_plane_commit_seconds",
                                      "Duration of a durable commit of one group")),
        batches_(metrics.AddCounter("tributary_control_plane_commit_batches_total",
                                    "Batches in committed groups")),
        failures_(metrics.AddCounter("tributary_control_plane_commit_failures_total",
                                     "Commits that failed and changed nothing")),
        expired_(metrics.AddCounter("tributary_control_plane_expired_entries_total",
                                    "Entries that expired and became tombstones")) {}

  Epoch epoch() const override { return store_->epoch(); }
  common::StatusOr<std::vector<Outcome>> Commit(const Group& group) override {
    const auto begin = std::chrono::steady_clock::now();
    auto outcomes = store_->Commit(group);
    seconds_.Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    if (outcomes.ok()) batches_.Increment(static_cast<double>(group.batches.size()));
    if (!outcomes.ok()) failures_.Increment();
    return outcomes;
  }
  common::StatusOr<std::unique_ptr<View>> OpenView() const override { return store_->OpenView(); }
  CatalogPtr catalog() const override { return store_->catalog(); }
  common::StatusOr<std::uint64_t> LastSequence(std::string_view publisher_id) const override {
    return store_->LastSequence(publisher_id);
  }
  common::StatusOr<bool> Compact(std::int64_t before_ms, std::uint64_t count_max,
                                 std::size_t budget) override {
    return store_->Compact(before_ms, count_max, budget);
  }
  common::StatusOr<Expired> Expire(std::int64_t now_ms, std::size_t count_max) override {
    auto expired = store_->Expire(now_ms, count_max);
    if (expired.ok()) expired_.Increment(static_cast<double>(expired->entries));
    return expired;
  }
  std::optional<std::int64_t> next_expiry_ms() const override { return store_->next_expiry_ms(); }
  std::size_t bytes_used() const override { return store_->bytes_used(); }
  common::StatusOr<std::unique_ptr<BackupReader>> OpenBackup(std::int64_t now_ms) const override {
    return store_->OpenBackup(now_ms);
  }

 private:
  const std::unique_ptr<Store> store_;
  common::Histogram& seconds_;
  common::Counter& batches_;
  common::Counter& failures_;
  common::Counter& expired_;
};

}  // namespace cp
