// Samples: latencies of one run, and the clocks that they are taken with.
//
// Thread: one owner.  Lifetime: value.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

inline std::int64_t NanosOf(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
inline std::int64_t NowNs() { return NanosOf(CLOCK_MONOTONIC); }
// Of this process, all threads.
inline std::int64_t CpuNs() { return NanosOf(CLOCK_PROCESS_CPUTIME_ID); }

class Samples {
 public:
  void Add(std::int64_t nanos) { nanos_.push_back(nanos); }
  std::size_t size() const { return nanos_.size(); }

  // `part` 0.5: the median. 0 without samples.
  double Microseconds(double part) {
    if (nanos_.empty()) return 0;
    const auto last = static_cast<double>(nanos_.size() - 1);
    const auto at = nanos_.begin() + static_cast<std::ptrdiff_t>(part * last + 0.5);
    std::nth_element(nanos_.begin(), at, nanos_.end());
    return static_cast<double>(*at) / 1000;
  }

 private:
  std::vector<std::int64_t> nanos_;
};

}  // namespace bench
