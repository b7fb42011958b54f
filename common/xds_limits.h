// The bounds of the xDS server's requests, retries and state-of-the-world responses; the others
// stand in limits.h.
//
// Thread: any.  Lifetime: constants.  Sizes are bytes unless the name says otherwise.
#pragma once

#include <chrono>
#include <cstddef>

#include "common/limits.h"

namespace common {

inline constexpr std::size_t kNodeBytesMax = 1 * kMiB;
inline constexpr std::size_t kClientFeaturesMax = 1'000;
// Requests above the first size are counted while they are being dealt with, all streams together;
// beyond the second a stream is told to come back.
inline constexpr std::size_t kRequestBytesUncounted = 64 * kKiB;
inline constexpr std::size_t kRequestsBytesMax = 256 * kMiB;
inline constexpr std::size_t kScanEntriesPerTurn = 20'000;  // then other streams have theirs

// State of the world: each change sends everything again, and clients take 4 MiB by default.
inline constexpr std::size_t kSotwEntriesMax = 50'000;
inline constexpr std::size_t kSotwBytesMax = 4 * kMiB;          // a whole response
inline constexpr std::chrono::milliseconds kSotwInterval{100};  // between two responses of a type

// What a client rejected is sent again in halves, later each time.
inline constexpr std::chrono::milliseconds kRejectedBackoffMin{20};
inline constexpr std::chrono::milliseconds kRejectedBackoffMax{2'000};
inline constexpr std::size_t kRejectedNamesMax = 100'000;  // that wait, per stream and type

static_assert(kRequestsBytesMax >= kRequestBytesMax, "or a request of the full size never fits");
static_assert(kResponseBytesMax <= kSotwBytesMax);

}  // namespace common
