// Memory: how malloc treats blocks of a MiB, which is what large messages are made of.
//
// Thread: the settings, main, before any other starts; a HeapTrim, its owner's.  Lifetime: the
// process's own settings.
#pragma once

#include <cstddef>
#include <optional>

#include "common/clock.h"

namespace common {

// Blocks up to 32 MiB come from the heap and stay there for the next of their size. As maps of
// their own, which is malloc's way, every page of them faults in anew: half of an agent's CPU
// during a first load, seven eighths of the control plane's. Source: mallopt(3).
void KeepLargeBlocks();
// All threads share one heap, and it keeps as much free memory at its end: for processes that are
// to be small. A heap for each thread keeps its own, which no trim gives back. Source: mallopt(3).
void UseOneHeap(std::size_t kept_bytes);

// Gives the holes that large messages have left in the heap back to the system, some time after the
// last of them.
class HeapTrim {
 public:
  void OnMessage(std::size_t bytes, MonotonicTime now);  // small ones do not count
  std::optional<MonotonicTime> due() const;              // absent: there is nothing to give back
  void Step(MonotonicTime now);                          // to be called again at due()

 private:
  std::size_t bytes_ = 0;  // of large messages since the last trim
  MonotonicTime last_{};
};

}  // namespace common
