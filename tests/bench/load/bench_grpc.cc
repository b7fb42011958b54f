// bench_grpc: publishers and subscribers over gRPC. One JSON object on stdout.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/bench/load/grpc_spread.h"
#include "tests/bench/load/resp_socket.h"

namespace {

using bench::SpreadOptions;

void AddOptions(CLI::App& app, SpreadOptions& options) {
  app.add_option("--address", options.address, "host:port of the control plane or of etcd")
      ->required();
  app.add_flag("--etcd", options.etcd);
  app.add_option("--owner", options.owner);
  app.add_option("--service", options.service);
  app.add_option("--reader", options.reader, "an agent's socket");
  app.add_option("--keys", options.keys);
  app.add_option("--value-bytes", options.value_bytes);
  app.add_option("--large-keys", options.large_keys);
  app.add_option("--batch", options.batch);
  app.add_option("--subscribers", options.subscribers);
  app.add_option("--rounds", options.rounds);
  app.add_option("--pause-ms", options.pause_ms);
  app.add_option("--updates-a-second", options.updates_a_second);
  app.add_option("--behind-max", options.behind_max);
  app.add_option("--seconds", options.seconds);
  app.add_option("--writers", options.writers);
  app.add_option("--server-pid", options.server_pid);
}

// Ends without taking the streams down: they outlive every measurement.
[[noreturn]] void Print(const std::string& result) {
  fmt::print("{}\n", result);
  std::fflush(stdout);
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Publishers and subscribers over gRPC; tests/bench/bench.py drives it.");
  app.require_subcommand(1);
  app.fallthrough();
  SpreadOptions options;
  AddOptions(app, options);
  using Run = std::string (*)(const SpreadOptions&);
  const std::pair<const char*, Run> verbs[] = {
      {"fill", bench::RunFill}, {"latency", bench::RunLatency}, {"fanout", bench::RunFanout},
      {"hold", bench::RunHold}, {"puts", bench::RunPuts},       {"updates", bench::RunUpdates}};
  for (const auto& [name, run] : verbs) {
    app.add_subcommand(name)->callback([&options, chosen = run] { Print(chosen(options)); });
  }
  CLI11_PARSE(app, argc, argv);
  return 0;
}
