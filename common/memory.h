// Memory: how malloc treats blocks of a MiB, which is what large messages are made of.
//
// Thread: main, before any other starts.  Lifetime: the process's own setting.
#pragma once

namespace common {

// Blocks up to 32 MiB come from the heap and stay there for the next of their size. As maps of
// their own, which is malloc's way, every page of them faults in anew: half of an agent's CPU
// during a first load, seven eighths of the control plane's. Source: mallopt(3).
void KeepLargeBlocks();

}  // namespace common
