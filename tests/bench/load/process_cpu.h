// What another process has used.
//
// Thread: any.  Lifetime: function.
#pragma once

#include <time.h>
#include <unistd.h>

#include "tests/bench/load/samples.h"

namespace bench {

// All threads, those that have ended too, user and system. 0: no such process.
inline double CpuSecondsOf(int pid) {
  clockid_t clock{};
  if (pid <= 0 || ::clock_getcpuclockid(pid, &clock) != 0) return 0;
  return static_cast<double>(NanosOf(clock)) / 1e9;
}

}  // namespace bench
