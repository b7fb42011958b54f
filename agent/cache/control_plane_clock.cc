#include "agent/cache/control_plane_clock.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace agent {
namespace {

constexpr std::int64_t kDriftParts = 2'000;  // 500 ppm: as far as clocks are slewed
constexpr std::int64_t kHalfMilliUs = 500;   // S is cut to whole milliseconds

std::int64_t Micros(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

std::int64_t MonotonicMicros(common::MonotonicTime time) { return Micros(time.time_since_epoch()); }

}  // namespace

void ControlPlaneClock::OnAnswer(common::MonotonicTime asked, common::MonotonicTime answered,
                                 std::int64_t server_ms) {
  const std::int64_t half_us = Micros(answered - asked) / 2;
  if (server_ms <= 0 || half_us < 0) return;
  const std::int64_t error_us = half_us + kHalfMilliUs;
  const std::int64_t offset_us =
      server_ms * 1000 + kHalfMilliUs + half_us - MonotonicMicros(answered);
  const std::int64_t old_us = offset_us_.load(std::memory_order_relaxed);
  const std::int64_t worn_us = error_us_ + Micros(answered - sampled_at_) / kDriftParts;
  if (known() && std::abs(offset_us - old_us) <= error_us + worn_us) {
    if (error_us >= worn_us) return;
    // Who has the new offset has the floor as well. One more: a reader may be ahead of us.
    floor_ms_.store((MonotonicMicros(answered) + old_us) / 1000 + 1, std::memory_order_release);
  } else {
    floor_ms_.store(0, std::memory_order_release);
  }
  offset_us_.store(offset_us, std::memory_order_release);
  sampled_at_ = answered;
  error_us_ = error_us;
  known_.store(true, std::memory_order_release);
}

std::int64_t ControlPlaneClock::UnixMillis(const common::Clock& clock) const {
  if (!known()) return clock.UnixMillis();
  const std::int64_t offset_us = offset_us_.load(std::memory_order_acquire);
  const std::int64_t shown_ms = (MonotonicMicros(clock.Now()) + offset_us) / 1000;
  return std::max(shown_ms, floor_ms_.load(std::memory_order_acquire));
}

}  // namespace agent
