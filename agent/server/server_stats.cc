#include "agent/server/server_stats.h"

namespace agent {

void LatencyHistogram::AddUp(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i].Add(other.counts_[i].Get());
  sum_nanoseconds_.Add(other.sum_nanoseconds_.Get());
}

void AddUp(const ServerStats& counted, ServerStats& sum) {
  constexpr Counter ServerStats::*kSingle[] = {
      &ServerStats::commands_total,  &ServerStats::unknown_commands,
      &ServerStats::protocol_errors, &ServerStats::clients_total,
      &ServerStats::clients_now,     &ServerStats::clients_refused,
      &ServerStats::bytes_in,        &ServerStats::clients_over_output_limit,
      &ServerStats::bytes_out,       &ServerStats::writes_ok,
      &ServerStats::writes_failed,   &ServerStats::notices,
      &ServerStats::notices_lost};
  static_assert(sizeof(ServerStats) == sizeof(ServerStats::commands) + sizeof(LatencyHistogram) +
                                           std::size(kSingle) * sizeof(Counter),
                "a counter is not added up");
  for (const auto counter : kSingle) (sum.*counter).Add((counted.*counter).Get());
  sum.read_latency.AddUp(counted.read_latency);
  for (std::size_t i = 0; i < sum.commands.size(); ++i) {
    const CommandStats& from = counted.commands[i];
    CommandStats& to = sum.commands[i];
    to.calls.Add(from.calls.Get());
    to.rejected.Add(from.rejected.Get());
    for (std::size_t j = 0; j < to.reads.size(); ++j) to.reads[j].Add(from.reads[j].Get());
  }
}

}  // namespace agent
