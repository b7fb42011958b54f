// What a change must be before it is stored.
//
// Thread: any; pure.  Lifetime: functions.
#pragma once

#include <span>

#include "agent/cache/cache.h"

namespace agent {

// INVALID_ARGUMENT names the first change that is outside of `collection` or beyond a limit.
common::Status ValidateChanges(const common::Collection& collection,
                               std::span<const Change> changes);

}  // namespace agent
