// RespLoad: the load generator – many connections, one thread, a fixed number of requests under way
// on each, the same for us and for Redis.
//
// Thread: one.  Lifetime: one run.
// Requests are made before the clock starts and sent from one long buffer, so that the generator
// costs little; replies are cut and counted, errors reported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

struct LoadOptions {
  std::string address;
  std::string command = "get";  // get | mget | set | mixed
  std::size_t connections = 50;
  std::size_t pipeline = 1;
  std::uint64_t keys = 1'000'000;  // random among these
  std::size_t mget_keys = 100;
  std::size_t value_bytes = 100;          // set
  std::uint64_t requests_made = 1 << 20;  // different requests; then over again
  double seconds = 1.5;
  double warmup_seconds = 0.2;
  std::uint64_t seed = 1;
};

// One JSON object.
std::string RunLoad(const LoadOptions& options);

}  // namespace bench
