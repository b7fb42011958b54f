// Check: the whole environment read and compared with what its records say.
//
// Thread: any, while nobody writes.  Lifetime: a function over an environment.
#pragma once

#include "agent/cache/environment.h"

namespace agent {

// See Cache::Check.
common::Status CheckEnvironment(const Environment& environment);

}  // namespace agent
