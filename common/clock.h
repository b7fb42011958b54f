// Clock: the only source of time for anything that decides by it; tests and the simulation pass
// their own.
//
// Thread: any.  Lifetime: outlives its users.
#pragma once

#include <chrono>
#include <cstdint>

namespace common {

using Millis = std::chrono::milliseconds;
using MonotonicTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;        // for ages, deadlines, back-off
  virtual std::int64_t UnixMillis() const = 0;  // for published_at and logs
};

class SystemClock final : public Clock {
 public:
  MonotonicTime Now() const override { return std::chrono::steady_clock::now(); }
  std::int64_t UnixMillis() const override {
    return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace common
