// Breaker: decides whether the control plane is to be asked at all.
//
// Thread: one owner (remote); pure.  Lifetime: value.
// Closed: calls go out; after a failure the next one waits a moment. After some failures in a row
// it opens: nothing goes out until a time with jitter has passed. Then one call may try; its
// success closes the breaker, its failure opens it again for longer, up to a cap.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/backoff.h"
#include "common/clock.h"

namespace agent {

class Breaker {
 public:
  explicit Breaker(std::uint64_t seed);

  // Open: nobody shall wait for an answer.
  bool open(common::MonotonicTime now) const { return open_ && now < retry_at_; }
  // A call may go out now. `under_way`: whether one is already.
  bool MayCall(common::MonotonicTime now, bool under_way) const {
    return now >= retry_at_ && (!open_ || !under_way);
  }
  common::MonotonicTime retry_at() const { return retry_at_; }

  void OnSuccess();
  // True if the breaker has just opened.
  bool OnFailure(common::MonotonicTime now);

 private:
  common::Backoff backoff_;
  int failures_ = 0;  // in a row
  bool open_ = false;
  common::MonotonicTime retry_at_{};
};

}  // namespace agent
