// tributary-control-plane: options → App → wait for a signal → drain.
#include <cstdint>
#include <cstdio>

#include "common/clock.h"
#include "common/config.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/metrics.h"
#include "common/open_files.h"
#include "common/rpc/grpc_log.h"
#include "common/signals.h"
#include "control-plane/app.h"
#include "control-plane/injector_app.h"
#include "control-plane/options.h"

namespace {

// Each agent: a stream of changes and, when its service publishes, one more.
constexpr std::uint64_t kOpenFilesWanted = 2 * common::kStreamsMax + 512;
constexpr std::uint64_t kOpenFilesEnough = 10'000 + 512;  // agents that do not publish

int Run(const cp::Options& options) {
  common::KeepLargeBlocks();  // hub_thread.h gives back what first loads leave
  common::SystemClock clock;
  common::Log log(*common::ParseLogLevel(options.log_level),
                  *common::ParseLogFormat(options.log_format));
  common::RaiseOpenFiles(kOpenFilesWanted, kOpenFilesEnough, "connections of agents", log);
  common::SendGrpcLogTo(log, clock);
  common::Metrics metrics;
  int exit_code = 0;
  if (options.webhook_only) {
    cp::InjectorApp app(options, clock, log, metrics);
    const common::Status started = app.Start();
    if (started.ok()) {
      log.Info("stopping", {{"signal", common::WaitForStopSignal()}});
    } else {
      log.Error("cannot start", {{"error", started}});
      exit_code = 1;
    }
  } else {
    cp::App app(options, clock, log, metrics);
    const common::Status started = app.Start();
    if (started.ok()) {
      const int signal = common::WaitForStopSignal();
      log.Info("stopping", {{"signal", signal}});
      app.Drain();
    } else {
      log.Error("cannot start", {{"error", started}});
      exit_code = 1;
    }
  }
  common::StopGrpcLog();
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  common::BlockStopSignals();
  cp::Options options;
  const common::Program program = cp::ControlPlaneProgram();
  common::LoadOutcome loaded = common::LoadOptions(program, cp::OptionTable(options), argc, argv,
                                                   common::ProcessEnvironment());
  if (!loaded.exit_code) {
    const common::Status checked = cp::CheckOptions(options);
    if (!checked.ok()) loaded = common::UsageError(program, common::Message(checked));
  }
  if (loaded.exit_code) {
    std::fputs(loaded.text.c_str(), *loaded.exit_code == 0 ? stdout : stderr);
    return *loaded.exit_code;
  }
  return Run(options);
}
