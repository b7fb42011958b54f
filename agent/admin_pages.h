// Admin pages and metrics of the agent: what operators and probes see.
//
// Thread: built on main; the functions run on the admin server's threads.
// Lifetime: what they are given outlives the admin server.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "agent/cache/agent_status.h"
#include "agent/options.h"
#include "agent/remote/read_queue.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/status.h"

namespace agent {

// JSON of one copy each: state, revision, head, age_ms (null: never proven fresh), entries …
std::string DatasetsJson(const AgentStatus& status, const common::Clock& clock);
// The options in effect and what the control plane has declared.
std::string ConfigJson(const AgentOptions& options, const AgentStatus& status);
std::vector<common::MetricFamily> SyncMetrics(const AgentStatus& status,
                                              const common::Clock& clock);
std::vector<common::MetricFamily> RemoteMetrics(const ReadQueue::Totals& totals);

// Ready once every wanted copy can be read; then it stays ready, and the text says what is not in
// sync.
class Readiness {
 public:
  // OK or UNAVAILABLE: what is missing.
  common::Status Check(const AgentStatus& status);
  // What is not in sync; empty: nothing.
  static std::string Note(const AgentStatus& status);

 private:
  std::atomic<bool> latched_{false};
};

}  // namespace agent
