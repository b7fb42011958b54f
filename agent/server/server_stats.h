// ServerStats: what one loop counts. The admin side reads it while the loop goes on.
//
// Thread: written by its loop only, read by any.  Lifetime: that of the server.
// Counters are relaxed atomics with one writer, so counting costs no locked instruction; a reader
// sees each number whole, not all of them at one instant.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/cache/counter.h"

namespace agent {

// What became of one key that a command read.
enum class ReadResult {
  kHit,
  kMiss,  // does not exist
  kNotSubscribed,
  kLoading,
  kNoDataset,
  kNoPermission,
  kFaulted,
  kError,         // not a key, or the cache failed
  kRemoteHit,     // answered by the control plane
  kRemoteMiss,    // likewise: does not exist
  kStale,         // the copy is older than allowed
  kRemoteFailed,  // the control plane was to answer and has not
};
inline constexpr std::array<std::string_view, 12> kReadResultNames = {
    "hit",     "miss",  "not_subscribed", "loading",     "no_dataset", "no_permission",
    "faulted", "error", "remote_hit",     "remote_miss", "stale",      "remote_failed"};

// Times in fixed buckets; the last one takes what is above all bounds.
class LatencyHistogram {
 public:
  static constexpr std::array<double, 16> kBoundsSeconds = {
      1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.25, 1};

  // `count` things took `time` together; each counts with its share.
  void Add(std::chrono::nanoseconds time, std::uint64_t count) {
    const double seconds = std::chrono::duration<double>(time).count() / static_cast<double>(count);
    std::size_t bucket = 0;
    while (bucket < kBoundsSeconds.size() && seconds > kBoundsSeconds[bucket]) ++bucket;
    counts_[bucket].Add(count);
    sum_nanoseconds_.Add(static_cast<std::uint64_t>(time.count()));
  }
  void AddUp(const LatencyHistogram& other);
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket].Get(); }
  double sum_seconds() const { return static_cast<double>(sum_nanoseconds_.Get()) * 1e-9; }

 private:
  std::array<Counter, kBoundsSeconds.size() + 1> counts_;
  Counter sum_nanoseconds_;
};

struct CommandStats {
  Counter calls;
  Counter rejected;                                    // arity, state
  std::array<Counter, kReadResultNames.size()> reads;  // by ReadResult, one for each key
};

inline constexpr std::size_t kCommandsMax = 96;

struct ServerStats {
  std::array<CommandStats, kCommandsMax> commands;  // by CommandTable::IndexOf
  LatencyHistogram read_latency;  // of read commands; of a pipeline each has its share
  Counter commands_total;
  Counter unknown_commands;
  Counter protocol_errors;
  Counter clients_total;    // connections ever accepted
  Counter clients_now;      // sessions
  Counter clients_refused;  // beyond the limit
  Counter clients_over_output_limit;
  Counter bytes_in;
  Counter bytes_out;
  Counter writes_ok;
  Counter writes_failed;
  Counter notices;       // change messages sent
  Counter notices_lost;  // times that subscribers were closed because notices had to be dropped
};

// Adds what one loop has counted to a sum over several. REQUIRES: `sum` is the caller's own.
void AddUp(const ServerStats& counted, ServerStats& sum);

}  // namespace agent
