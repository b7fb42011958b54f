// How a change spreads, for servers that speak RESP on both ends: latency from a SET to the notice
// at a reader, and Redis' PUBLISH to many subscribers.
//
// Thread: one.  Lifetime: functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

struct NoticeOptions {
  std::string writer;  // where SET goes
  std::string reader;  // where the keyspace notice comes from
  std::uint64_t keys = 1000;
  std::size_t value_bytes = 100;
  std::size_t rounds = 1000;
  int pause_ms = 1;
};
// One JSON object: p50_us … from before the SET was sent to when the notice arrived, ok_p50_us … to
// its +OK.
std::string RunNotices(const NoticeOptions& options);

struct PublishOptions {
  std::string address;
  std::size_t subscribers = 100;
  std::size_t value_bytes = 100;
  std::size_t batch = 100;          // PUBLISHes sent together
  double updates_a_second = 0;      // 0: as fast as the subscribers follow
  std::size_t behind_max = 20'000;  // updates that the slowest may be behind
  double seconds = 2;
  int server_pid = 0;
};
std::string RunPublish(const PublishOptions& options);

}  // namespace bench
