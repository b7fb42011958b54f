// SharedServices: what the loops of one agent have in common.
//
// Thread: any; `loops` is filled before the first of them runs.  Lifetime: outlives the loops.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "agent/server/client_directory.h"
#include "agent/server/loop_port.h"
#include "agent/server/recent_writes.h"
#include "agent/server/scan_cursors.h"
#include "agent/server/server_stats.h"
#include "common/limits.h"

namespace agent {

struct SharedServices {
  SharedServices(std::size_t threads, std::size_t clients_max) : clients(threads, clients_max) {}

  // What all loops have counted; each number is whole, not all of them of one instant.
  std::unique_ptr<ServerStats> TotalStats() const {
    auto total = std::make_unique<ServerStats>();
    for (const LoopPort* loop : loops) AddUp(loop->stats(), *total);
    return total;
  }
  std::size_t subscribers() const {
    std::size_t count = 0;
    for (const LoopPort* loop : loops) count += loop->subscribers();
    return count;
  }

  ClientDirectory clients;
  ScanCursors cursors = ScanCursors(common::kScanCursorsMax);
  RecentWrites recent_writes;
  std::vector<LoopPort*> loops = {};  // by ClientDirectory::Seat::loop
};

}  // namespace agent
