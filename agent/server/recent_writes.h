// RecentWrites: keys of on-demand copies that were written here lately. If such a key is not held,
// a subscription that was under way when it was written may be answered with what was before; so
// it is read from the committed state instead.
//
// Thread: any; a write counts before its +OK is given, for reads on every loop, so all share one.
// Lifetime: that of the loops. Memory: at most kRecentWritesMax keys.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/clock.h"
#include "common/limits.h"
#include "common/mutex.h"

namespace agent {

inline constexpr std::size_t kRecentWritesMax = 65'536;

class RecentWrites {
 public:
  // Longer than any question is under way: an unanswered one is given up after kAnswerTimeout.
  static constexpr std::chrono::milliseconds kKept = 4 * common::kAnswerTimeout;

  void Note(std::string_view dataset, std::string_view key, common::MonotonicTime now)
      TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    Forget(now);
    if (order_.size() >= kRecentWritesMax) {  // from now on any key may be one
      any_until_ = now + kKept;
      order_.clear();
      until_.clear();
    }
    const std::size_t hash = HashOf(dataset, key);
    until_[hash] = now + kKept;
    order_.emplace_back(now + kKept, hash);
  }
  bool Has(std::string_view dataset, std::string_view key, common::MonotonicTime now)
      TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    Forget(now);
    return now < any_until_ || until_.contains(HashOf(dataset, key));
  }

 private:
  // Two keys may share one: then both count as written.
  static std::size_t HashOf(std::string_view dataset, std::string_view key) {
    return std::hash<std::string_view>()(dataset) * 31 + std::hash<std::string_view>()(key);
  }
  void Forget(common::MonotonicTime now) TSA_REQUIRES(mutex_) {
    while (!order_.empty() && order_.front().first <= now) {
      const auto it = until_.find(order_.front().second);
      if (it != until_.end() && it->second <= now) until_.erase(it);
      order_.pop_front();
    }
  }

  common::Mutex mutex_;
  std::deque<std::pair<common::MonotonicTime, std::size_t>> order_ TSA_GUARDED_BY(mutex_);
  std::unordered_map<std::size_t, common::MonotonicTime> until_ TSA_GUARDED_BY(mutex_);
  common::MonotonicTime any_until_ TSA_GUARDED_BY(mutex_){};
};

}  // namespace agent
