// bench_resp: load and checks over RESP. One JSON object on stdout.
#include <CLI/CLI.hpp>

#include "tests/bench/load/resp_check.h"
#include "tests/bench/load/resp_load.h"
#include "tests/bench/load/resp_socket.h"
#include "tests/bench/load/resp_spread.h"

namespace {

void AddLoad(CLI::App& app) {
  auto options = std::make_shared<bench::LoadOptions>();
  CLI::App& verb = *app.add_subcommand("load", "requests as fast as they are answered");
  verb.add_option("--address", options->address, "/socket or host:port")->required();
  verb.add_option("--command", options->command, "get | mget | set | mixed")
      ->check(CLI::IsMember({"get", "mget", "set", "mixed"}));
  verb.add_option("--connections", options->connections);
  verb.add_option("--pipeline", options->pipeline);
  verb.add_option("--keys", options->keys);
  verb.add_option("--mget-keys", options->mget_keys);
  verb.add_option("--value-bytes", options->value_bytes);
  verb.add_option("--requests-made", options->requests_made);
  verb.add_option("--seconds", options->seconds);
  verb.add_option("--warmup-seconds", options->warmup_seconds);
  verb.add_option("--seed", options->seed);
  verb.callback([options] { fmt::print("{}\n", bench::RunLoad(*options)); });
}

void AddCheck(CLI::App& app) {
  auto options = std::make_shared<bench::CheckOptions>();
  CLI::App& verb = *app.add_subcommand("check", "are the replies of two servers the same?");
  verb.add_option("--ours", options->ours)->required();
  verb.add_option("--peer", options->peer)->required();
  verb.add_option("--keys", options->keys);
  verb.add_option("--large-keys", options->large_keys);
  verb.add_option("--commands", options->commands);
  verb.add_option("--seed", options->seed);
  verb.callback([options] {
    bench::CheckSame(*options);
    fmt::print(R"({{"commands": {}}})"
               "\n",
               options->commands);
  });
}

void AddFill(CLI::App& app) {
  auto options = std::make_shared<bench::FillOptions>();
  CLI::App& verb = *app.add_subcommand("fill", "sets all keys");
  verb.add_option("--address", options->address)->required();
  verb.add_option("--keys", options->keys);
  verb.add_option("--value-bytes", options->value_bytes);
  verb.add_option("--large-keys", options->large_keys);
  verb.callback([options] {
    bench::FillRedis(*options);
    fmt::print(R"({{"entries": {}}})"
               "\n",
               options->keys);
  });
}

void AddNotice(CLI::App& app) {
  auto options = std::make_shared<bench::NoticeOptions>();
  CLI::App& verb = *app.add_subcommand("notice", "latency from SET to a reader's keyspace notice");
  verb.add_option("--writer", options->writer)->required();
  verb.add_option("--reader", options->reader)->required();
  verb.add_option("--keys", options->keys);
  verb.add_option("--value-bytes", options->value_bytes);
  verb.add_option("--rounds", options->rounds);
  verb.add_option("--pause-ms", options->pause_ms);
  verb.callback([options] { fmt::print("{}\n", bench::RunNotices(*options)); });
}

void AddPublish(CLI::App& app) {
  auto options = std::make_shared<bench::PublishOptions>();
  CLI::App& verb = *app.add_subcommand("publish", "Redis' PUBLISH to many subscribers");
  verb.add_option("--address", options->address)->required();
  verb.add_option("--subscribers", options->subscribers);
  verb.add_option("--value-bytes", options->value_bytes);
  verb.add_option("--batch", options->batch);
  verb.add_option("--updates-a-second", options->updates_a_second);
  verb.add_option("--behind-max", options->behind_max);
  verb.add_option("--seconds", options->seconds);
  verb.add_option("--server-pid", options->server_pid);
  verb.callback([options] { fmt::print("{}\n", bench::RunPublish(*options)); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Load and checks over RESP; tests/bench/bench.py drives it.");
  app.require_subcommand(1);
  AddLoad(app);
  AddCheck(app);
  AddFill(app);
  AddNotice(app);
  AddPublish(app);
  CLI11_PARSE(app, argc, argv);
  return 0;
}
