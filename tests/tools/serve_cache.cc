// serve_cache: a socket server over a cache of made-up data, without control plane or agent.
//
// For client tests and benchmarks of agent/server. Writes go to the cache itself (LoopbackPort).
// Prints "ready" when it serves; SIGTERM ends it.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/server/server_pool.h"
#include "tests/fakes/fake_reads.h"
#include "tests/fakes/loopback_port.h"

namespace agent {
namespace {

struct Options {
  std::string socket;
  std::string dir;
  std::vector<std::string> datasets = {"ds"};
  std::size_t keys = 1000;
  std::size_t value_bytes = 3;
  std::size_t clients_max = common::kClientsMax;
  std::size_t index_bytes = 64 * common::kMiB;
  std::size_t threads = 1;
};

// Keys as redis-benchmark makes them: "key:000000000042".
common::Status Fill(Writer& writer, const std::string& dataset, const Options& options) {
  const common::Collection collection{.dataset = dataset, .prefix = ""};
  const common::Version version{.epoch = LoopbackPort::kEpoch, .revision = 1};
  const std::string value(options.value_bytes, 'x');
  RETURN_IF_ERROR(writer.Add(collection));
  RETURN_IF_ERROR(writer.BeginLoad(collection, version));
  for (std::size_t i = 0; i < options.keys; ++i) {
    const std::string key = fmt::format("key:{:012}", i);
    const Change change{.key = key, .version = version, .entry = common::EntryView{.value = value}};
    RETURN_IF_ERROR(writer.Load(collection, {&change, 1}));
  }
  return writer.Apply(collection, {}, version);
}

StatusBoard& Describe(StatusBoard& board, const Options& options, const common::Clock& clock) {
  auto status = std::make_shared<AgentStatus>();
  status->service = "tester";
  status->wanted_known = true;
  for (const std::string& dataset : options.datasets) {
    CopyStatus copy;
    copy.collection = {.dataset = dataset, .prefix = ""};
    copy.phase = CopyPhase::kSynced;
    copy.entries = options.keys;
    copy.proven_at = clock.Now();
    status->copies.push_back(copy);
  }
  board.Put(status);
  return board;
}

common::Status Serve(const Options& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const common::SystemClock clock;
  StatusBoard board;
  Describe(board, options, clock);
  ASSIGN_OR_RETURN(auto cache, Cache::Open({.dir = options.dir, .service = "tester"}));
  std::vector<std::unique_ptr<Reader>> readers(options.threads);
  for (auto& reader : readers) {
    ASSIGN_OR_RETURN(reader, cache->MakeReader(options.index_bytes / options.threads));
  }
  ASSIGN_OR_RETURN(auto counting_reader, cache->MakeReader());

  // The port needs the writer, which needs the server's listener, which needs a port.
  struct LatePort final : WritePort {
    void Submit(WriteBatch batch, std::function<void(WriteOutcome)> done) override {
      port->Submit(std::move(batch), std::move(done));
    }
    std::unique_ptr<LoopbackPort> port;
  } port;
  FakeReads reads;
  ServerPool server({.path = options.socket,
                     .service = "tester",
                     .clients_max = options.clients_max,
                     .cache_bytes = [&cache] { return cache->bytes_used(); }},
                    std::move(readers), port, reads, board, clock);
  auto writer = cache->MakeWriter(server.listener());
  for (const std::string& dataset : options.datasets) {
    RETURN_IF_ERROR(Fill(*writer, dataset, options));
  }
  const std::set<std::string> datasets(options.datasets.begin(), options.datasets.end());
  port.port = std::make_unique<LoopbackPort>(std::move(writer), datasets, 1);
  port.port->reader = std::move(counting_reader);

  RETURN_IF_ERROR(server.Listen());
  server.Start();
  std::puts("ready");
  std::fflush(stdout);
  int got = 0;
  sigwait(&signals, &got);
  server.Stop();
  server.Join();
  port.port.reset();
  return common::OkStatus();
}

}  // namespace
}  // namespace agent

int main(int argc, char** argv) {
  agent::Options options;
  CLI::App app("Serves made-up data on a Unix socket.");
  app.add_option("--socket", options.socket, "path of the socket")->required();
  app.add_option("--dir", options.dir, "directory of the cache, emptied first")->required();
  app.add_option("--dataset", options.datasets, "names of datasets");
  app.add_option("--keys", options.keys, "keys in each dataset");
  app.add_option("--value-bytes", options.value_bytes, "size of each value");
  app.add_option("--clients-max", options.clients_max, "connections at most");
  app.add_option("--threads", options.threads, "loops")->check(CLI::Range(1, 64));
  app.add_option("--index-bytes", options.index_bytes, "memory of the index; 0: none");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::remove_all(options.dir);
  const common::Status status = agent::Serve(options);
  if (!status.ok()) std::fprintf(stderr, "serve_cache: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
