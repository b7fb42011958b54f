// Client pages: what the admin side tells of the socket servers and the cache's size.
//
// Thread: the admin server's threads.  Lifetime: the servers outlive the calls.
#pragma once

#include <cstddef>
#include <vector>

#include "agent/cache/control_plane_clock.h"
#include "agent/server/server_pool.h"
#include "agent/server/server_stats.h"
#include "common/admin_server.h"
#include "common/clock.h"
#include "common/metrics.h"

namespace agent {

// JSON of the connected clients by id, asked from the loops; 503 when one does not answer within a
// second.
common::AdminResponse ClientsPage(ServerPool& servers);
std::vector<common::MetricFamily> ServerMetrics(const ServerStats& stats);
std::vector<common::MetricFamily> CacheMetrics(std::size_t bytes_used);
// Empty until a control plane has told its time.
std::vector<common::MetricFamily> ClockMetrics(const ControlPlaneClock& theirs,
                                               const common::Clock& ours);

}  // namespace agent
