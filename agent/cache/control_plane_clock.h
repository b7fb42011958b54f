// ControlPlaneClock: what the control plane's wall clock shows, as far as an agent can tell.
//
// Thread: OnAnswer on the sync thread; the rest any.  Lifetime: of the status board.
// Every answer to a freshness probe carries the control plane's time S. It was read between the
// question (T0) and the answer's arrival (T1), so at T1 that clock shows S + (T1 − T0)/2, give or
// take half of the round trip. The sample that says most is kept; what it says wears by the drift
// of two clocks. A sample that cannot be true beside it tells that the clock was set, or that
// another control plane answers, and is taken at once. Before the first answer this host's own wall
// clock has to do (docs/consistency.md, "Expiry").
#pragma once

#include <atomic>
#include <cstdint>

#include "common/clock.h"

namespace agent {

class ControlPlaneClock {
 public:
  // `server_ms`: 0 if the server does not tell.
  void OnAnswer(common::MonotonicTime asked, common::MonotonicTime answered,
                std::int64_t server_ms);

  // Unix time. Does not go back but when the control plane's clock was set back.
  std::int64_t UnixMillis(const common::Clock& clock) const;
  bool known() const { return known_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> known_{false};
  std::atomic<std::int64_t> offset_us_{0};  // the control plane's wall clock − our monotonic one
  std::atomic<std::int64_t> floor_ms_{0};   // has been shown
  // Sync thread:
  common::MonotonicTime sampled_at_{};
  std::int64_t error_us_ = 0;  // of the sample, when it was taken
};

}  // namespace agent
