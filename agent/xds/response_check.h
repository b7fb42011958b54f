// What makes a whole response of entries unacceptable.
//
// Thread: any.  Lifetime: pure.
#pragma once

#include <string>

#include "common/delta_codec.h"

namespace agent {

// Why all of it must be rejected: a name twice, or in resources and removals, or a resource of
// another type. Empty: it need not.
std::string FindFault(const common::DeltaResponseView& view);

}  // namespace agent
