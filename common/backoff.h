// Backoff: exponential with full jitter and a cap.
//
// Thread: one owner.  Lifetime: value; pure apart from its random source.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace common {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds max, std::uint64_t seed)
      : first_(first), max_(max), ceiling_(first), random_(seed) {}

  // How long to wait before the next try: between half the ceiling and the ceiling, which doubles
  // with each call up to the cap.
  std::chrono::milliseconds Next() {
    const std::int64_t ceiling = ceiling_.count();
    ceiling_ = std::min(ceiling_ * 2, max_);
    return std::chrono::milliseconds(
        std::uniform_int_distribution<std::int64_t>(ceiling / 2, ceiling)(random_));
  }
  // Call once the peer has proved alive (first message received).
  void Reset() { ceiling_ = first_; }

 private:
  const std::chrono::milliseconds first_;
  const std::chrono::milliseconds max_;
  std::chrono::milliseconds ceiling_;
  std::mt19937_64 random_;
};

}  // namespace common
