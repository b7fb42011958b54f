#include "common/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <atomic>
#include <memory>

namespace common {
namespace {

struct Target {
  Log& log;
  LogLimiter limiter;
};
std::atomic<Target*> target{nullptr};

void Forward(gpr_log_func_args* args) {
  Target* const to = target.load();
  if (to != nullptr) to->log.Warn(to->limiter, "grpc", {{"message", args->message}});
}

}  // namespace

void SendGrpcLogTo(Log& log, const Clock& clock) {
  // Never freed: one of gRPC's threads may be inside Forward.
  static Target to{log, LogLimiter(clock)};
  target = &to;
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(Forward);
}

void StopGrpcLog() { target = nullptr; }

}  // namespace common
