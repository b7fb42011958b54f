#include "agent/remote/breaker.h"

#include "common/read_limits.h"

namespace agent {

Breaker::Breaker(std::uint64_t seed)
    : backoff_(common::kRemoteBackoffMin, common::kRemoteBackoffMax, seed) {}

void Breaker::OnSuccess() {
  backoff_.Reset();
  failures_ = 0;
  open_ = false;
  retry_at_ = {};
}

bool Breaker::OnFailure(common::MonotonicTime now) {
  const bool probing = open_;
  // Of calls that fail together only the first counts: they tell of one and the same outage.
  if (now < retry_at_) return false;
  retry_at_ = now + backoff_.Next();
  if (++failures_ < common::kRemoteFailuresToBreak && !probing) return false;
  open_ = true;
  return true;
}

}  // namespace agent
