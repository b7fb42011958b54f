// Admission: what a control plane lets in at a time – new streams by a token bucket, so that a herd
// of reconnecting agents comes in at a rate that it can serve, and big requests by their bytes.
//
// Thread: any.  Lifetime: outlives the charges it gave out.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/clock.h"
#include "common/mutex.h"

namespace cp {

// So many a second in the long run, and up to `burst` at once. A rate of 0 sets no limit.
class TokenBucket {
 public:
  TokenBucket(std::uint64_t per_second, std::uint64_t burst, common::MonotonicTime now)
      : per_second_(static_cast<double>(per_second)),
        burst_(static_cast<double>(std::max(per_second, burst))),
        tokens_(burst_),
        filled_(now) {}

  bool Take(common::MonotonicTime now) TSA_EXCLUDES(mutex_) {
    if (per_second_ <= 0) return true;
    common::MutexLock lock(mutex_);
    if (now > filled_) {
      const double seconds = std::chrono::duration<double>(now - filled_).count();
      tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
      filled_ = now;
    }
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  const double per_second_;
  const double burst_;
  common::Mutex mutex_;
  double tokens_ TSA_GUARDED_BY(mutex_);
  common::MonotonicTime filled_ TSA_GUARDED_BY(mutex_);
};

class ByteBudget {
 public:
  explicit ByteBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Counts `bytes` until the charge is released. Null: there is no room now.
  std::shared_ptr<void> Take(std::size_t bytes) {
    if (used_.fetch_add(bytes) + bytes > bytes_max_) {
      used_.fetch_sub(bytes);
      refused_.fetch_add(1);
      return nullptr;
    }
    return {this, [this, bytes](void*) { used_.fetch_sub(bytes); }};
  }
  std::size_t used() const { return used_.load(); }
  std::uint64_t refused() const { return refused_.load(); }

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> used_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace cp
