// EventQueue: simulated time. Events run in order of time, ties in order of posting.
//
// Thread: one.  Lifetime: events must not outlive what they capture; see Alive in sim_world.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "common/clock.h"

namespace sim {

class EventQueue final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now_; }
  std::int64_t UnixMillis() const override {
    return std::chrono::duration_cast<common::Millis>(now_.time_since_epoch()).count() +
           1'700'000'000'000;
  }

  void At(common::MonotonicTime time, std::function<void()> event) {
    events_.emplace(std::pair(std::max(time, now_), ++serial_), std::move(event));
  }
  void After(std::chrono::microseconds delay, std::function<void()> event) {
    At(now_ + delay, std::move(event));
  }
  // Runs everything that is due within `span`, then moves the clock to its end.
  void RunFor(std::chrono::microseconds span) {
    const common::MonotonicTime end = now_ + span;
    while (!events_.empty() && events_.begin()->first.first <= end) {
      auto event = events_.extract(events_.begin());
      now_ = event.key().first;
      event.mapped()();
    }
    now_ = end;
  }

 private:
  common::MonotonicTime now_{std::chrono::hours(1)};
  std::uint64_t serial_ = 0;
  std::map<std::pair<common::MonotonicTime, std::uint64_t>, std::function<void()>> events_;
};

}  // namespace sim
