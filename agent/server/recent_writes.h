// RecentWrites: keys of on-demand copies that were written here lately, and the version of the last
// write. A subscription that was under way when a key was written may be answered with what was
// before; so until the copy has come as far as the write, the key is read from the committed state.
//
// Thread: any; a write counts before its +OK is given, for reads on every loop, so all share one.
// Lifetime: that of the loops. Memory: at most kRecentWritesMax keys.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/clock.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/version.h"

namespace agent {

inline constexpr std::size_t kRecentWritesMax = 65'536;

class RecentWrites {
 public:
  // Longer than any question is under way: an unanswered one is given up after kAnswerTimeout.
  static constexpr std::chrono::milliseconds kKept = 4 * common::kAnswerTimeout;

  void Note(std::string_view dataset, std::string_view key, const common::Version& version,
            common::MonotonicTime now) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    Forget(now);
    if (order_.size() >= kRecentWritesMax) {  // from now on any key may be one
      any_ = {now + kKept, version};
      order_.clear();
      writes_.clear();
    }
    const std::size_t hash = HashOf(dataset, key);
    writes_[hash] = {now + kKept, version};
    order_.emplace_back(now + kKept, hash);
    until_.store(now + kKept, std::memory_order_release);
  }
  // False: nothing was ever written; without a lock or a look at the clock.
  bool any() const { return until_.load(std::memory_order_acquire) != common::MonotonicTime{}; }
  // Absent: not written lately. Takes the lock only while there is anything to be found.
  std::optional<common::Version> Find(std::string_view dataset, std::string_view key,
                                      common::MonotonicTime now) TSA_EXCLUDES(mutex_) {
    if (now >= until_.load(std::memory_order_acquire)) return std::nullopt;
    common::MutexLock lock(mutex_);
    Forget(now);
    const auto found = writes_.find(HashOf(dataset, key));
    if (found != writes_.end()) return found->second.version;
    return now < any_.until ? std::optional(any_.version) : std::nullopt;
  }

 private:
  struct Write {
    common::MonotonicTime until{};
    common::Version version = {};
  };

  // Two keys may share one: then both count as written by the later.
  static std::size_t HashOf(std::string_view dataset, std::string_view key) {
    return std::hash<std::string_view>()(dataset) * 31 + std::hash<std::string_view>()(key);
  }
  void Forget(common::MonotonicTime now) TSA_REQUIRES(mutex_) {
    while (!order_.empty() && order_.front().first <= now) {
      const auto it = writes_.find(order_.front().second);
      if (it != writes_.end() && it->second.until <= now) writes_.erase(it);
      order_.pop_front();
    }
  }

  common::Mutex mutex_;
  std::deque<std::pair<common::MonotonicTime, std::size_t>> order_ TSA_GUARDED_BY(mutex_);
  std::unordered_map<std::size_t, Write> writes_ TSA_GUARDED_BY(mutex_);
  Write any_ TSA_GUARDED_BY(mutex_);
  std::atomic<common::MonotonicTime> until_{common::MonotonicTime{}};  // of all of them
};

}  // namespace agent
