// gRPC's own log, which would go to stderr as it is, through our Log.
//
// Thread: main.  Lifetime: `log` lives until StopGrpcLog, which main calls before it destroys it.
// The one process-wide state of ours: gRPC takes a plain function.
#pragma once

#include "common/log.h"

namespace common {

// Errors only, as rate-limited warnings with the event "grpc".
void SendGrpcLogTo(Log& log, const Clock& clock);
void StopGrpcLog();

}  // namespace common
