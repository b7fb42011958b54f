// LoopParts: what the sessions of one loop work with, without its socket. For tests and benches.
//
// Thread: one.  Lifetime: board, clock and `shared` outlive it; it outlives the sessions.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "agent/server/services.h"

namespace agent {

struct LoopParts {
  // Nothing is submitted or asked unless services.submit and services.ask are set. `alone`: as in
  // Snapshot.
  LoopParts(std::unique_ptr<Reader> reader, const StatusBoard& board, const common::Clock& clock,
            SharedServices& shared, ServerIdentity identity, bool alone = true)
      : snapshot(std::move(reader), board, alone),
        services{.identity = std::move(identity),
                 .output = {},
                 .snapshot = snapshot,
                 .subscriptions = subscriptions,
                 .tracking = tracking,
                 .waits = waits,
                 .status = board,
                 .clock = clock,
                 .submit = {},
                 .ask = {},
                 .cache_bytes = {},
                 .shared = shared} {}

  static constexpr std::size_t kTrackedKeysMax = 4;  // few, so that tests come to the bound

  Subscriptions subscriptions;
  Tracking tracking{kTrackedKeysMax};
  Waits waits;
  Snapshot snapshot;
  Services services;
};

}  // namespace agent
