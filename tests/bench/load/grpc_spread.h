// Transport benches over gRPC: filling a dataset, latency of a publish, fan-out, subscribers that
// hold still, durable puts – ours and etcd's.
//
// Thread: main.  Lifetime: one run a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

struct SpreadOptions {
  std::string address;  // the control plane, or etcd
  bool etcd = false;
  std::string owner = "owner";     // publishes
  std::string service = "reader";  // subscribes
  std::string reader;              // latency: an agent's socket; empty: a counting subscriber
  std::uint64_t keys = 1'000'000;
  std::size_t value_bytes = 100;
  std::uint64_t large_keys = 0;  // fill
  std::size_t large_bytes = 256 * 1024;
  std::size_t batch = 100;
  std::size_t subscribers = 1;
  std::size_t rounds = 1000;
  int pause_ms = 1;
  double updates_a_second = 0;
  std::size_t behind_max = 20'000;
  double seconds = 2;
  std::size_t writers = 50;
  int server_pid = 0;
};

// Publishes all keys in order.
std::string RunFill(const SpreadOptions& options);
// One put at a time: how long until it is durable, at the last subscriber, readable at the agent.
std::string RunLatency(const SpreadOptions& options);
// Puts at full rate (or paced) to many subscribers: deliveries per second of the server's CPU.
std::string RunFanout(const SpreadOptions& options);
// Subscribers that have loaded everything and stay until stdin ends.
std::string RunHold(const SpreadOptions& options);
// Etcd only: durable puts of `writers` at once.
std::string RunPuts(const SpreadOptions& options);
// Puts at a steady rate for `seconds`, to disturb readers.
std::string RunUpdates(const SpreadOptions& options);

}  // namespace bench
