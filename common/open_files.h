// Open files: how many descriptors this process may have, raised towards what it needs.
//
// Thread: main, before any other starts.  Lifetime: pure but for the process's own limit.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/log.h"

namespace common {

// Raises the soft limit to `wanted`, or as near to it as the hard limit allows; never lowers it.
// Returns the soft limit then.
std::uint64_t RaiseOpenFiles(std::uint64_t wanted);

// The same, with a warning in the log when that is less than `enough`; `what` is what will run
// short
// ("clients").
void RaiseOpenFiles(std::uint64_t wanted, std::uint64_t enough, std::string_view what, Log& log);

}  // namespace common
