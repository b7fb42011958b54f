// Bounds of reading through the control plane and of proven freshness; part of common/limits.h.
//
// Thread: any.  Lifetime: constants.
#pragma once

#include <chrono>
#include <cstddef>

namespace common {

// Keys that one client watches (WATCH); the control plane checks no more for one batch.
inline constexpr std::size_t kWatchedKeysMax = 10'000;

inline constexpr std::size_t kRemoteReadsMax = 100'000;  // keys that wait in one agent
inline constexpr std::size_t kRemoteCallsMax = 8;        // calls under way
inline constexpr std::chrono::milliseconds kReadTimeoutDefault{1'000};
inline constexpr std::chrono::milliseconds kReadTimeoutMax{60'000};
inline constexpr std::chrono::milliseconds kRemoteBackoffMin{50};
inline constexpr std::chrono::milliseconds kRemoteBackoffMax{2'000};
inline constexpr int kRemoteFailuresToBreak = 3;  // in a row; then reads are refused for a while
// A call that was given up sooner says nothing about the control plane.
inline constexpr std::chrono::milliseconds kRemoteSilenceMin{250};
inline constexpr std::size_t kTrackedKeysMax = 1'000'000;  // of one loop, by CLIENT TRACKING
inline constexpr std::size_t kTrackingPrefixesPerClientMax = 1'000;
// A copy without a bound of its own counts as stale when no proof has come for this long.
inline constexpr std::chrono::milliseconds kSilenceMax{5'000};

}  // namespace common
