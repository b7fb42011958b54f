// tributary-agent: see docs/ARCHITECTURE.md.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "agent/app.h"
#include "agent/healthcheck.h"
#include "agent/options.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/open_files.h"
#include "common/rpc/grpc_log.h"
#include "common/signals.h"

namespace {

// Beside clients: streams, files, threads' descriptors, and room to refuse one client too many.
constexpr std::uint64_t kOpenFiles = common::kClientsMax + 512;

constexpr std::size_t kKeptBytes = 16 * common::kMiB;  // for the next large message

int Finish(const common::LoadOutcome& outcome) {
  std::fputs(outcome.text.c_str(), *outcome.exit_code == 0 ? stdout : stderr);
  return *outcome.exit_code;
}

int Run(const agent::AgentOptions& options, const common::Clock& clock, common::Log& log) {
  agent::App app(options, clock, log);
  if (const auto started = app.Start(); !started.ok()) {
    log.Error("cannot start", {{"reason", started}});
    return EXIT_FAILURE;
  }
  const int signal = common::WaitForStopSignal();
  log.Info("stopping", {{"signal", signal}});
  return app.nobody_came() ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "healthcheck") {
    return agent::RunHealthcheck(argc, argv);
  }
  common::BlockStopSignals();
  common::KeepLargeBlocks();
  common::UseOneHeap(kKeptBytes);
  agent::AgentOptions options;
  const auto table = agent::OptionTable(options);
  const auto loaded =
      common::LoadOptions(agent::AgentProgram(), table, argc, argv, common::ProcessEnvironment());
  if (loaded.exit_code) return Finish(loaded);
  if (const auto checked = agent::CheckOptions(options); !checked.ok()) {
    return Finish(common::UsageError(agent::AgentProgram(), common::Message(checked)));
  }
  const common::SystemClock clock;
  common::Log log(*common::ParseLogLevel(options.log_level),
                  *common::ParseLogFormat(options.log_format));
  common::RaiseOpenFiles(kOpenFiles, kOpenFiles, "clients of the socket", log);
  common::SendGrpcLogTo(log, clock);
  const int exit_code = Run(options, clock, log);
  common::StopGrpcLog();
  return exit_code;
}
