// Bounds of the agent's xDS client; the system's own are in common/limits.h.
//
// Thread: any.  Lifetime: constants.
#pragma once

#include <chrono>
#include <cstddef>

#include "common/limits.h"

namespace agent {

// Names and versions that are sent to a server without cursors; below the usual limit of 4 MiB.
inline constexpr std::size_t kInitialVersionsBytesMax = 3'500'000;
// kAnswerTimeout with a server that reports errors of resources, so would have said something.
inline constexpr std::chrono::milliseconds kAnswerTimeoutWithErrors{30'000};
// A load from a server that does not say where it ends is over after this much silence …
inline constexpr std::chrono::milliseconds kForeignQuiet{1'000};
inline constexpr int kForeignQuietsMax = 60;            // … or this many times that long
inline constexpr std::size_t kRejectedKeysMax = 1'000;  // remembered per agent
// Erasures that come together are done together; a failed one is tried again.
inline constexpr std::chrono::milliseconds kEraseDelay{2'000};
inline constexpr std::chrono::milliseconds kEraseAgain{10'000};

static_assert(kAnswerTimeoutWithErrors > common::kAnswerTimeout);

}  // namespace agent
