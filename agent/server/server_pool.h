// ServerPool: the loops that serve an agent's clients, each a SocketServer with its own thread,
// Reader and connections. One of them listens; a new client goes to the loop with the fewest.
//
// Thread: Listen, Start, Join and destruction from one; the rest from any.
// Lifetime: as of SocketServer. The destructor stops and joins.
// Loops tell each other by messages (LoopPort); the few tables that they share are in
// SharedServices.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "agent/server/notice_fan_out.h"
#include "agent/server/shared_services.h"
#include "agent/server/socket_server.h"
#include "common/thread.h"

namespace agent {

class ServerPool {
 public:
  // A loop for each reader. REQUIRES: at least one.
  ServerPool(const ServerOptions& options, std::vector<std::unique_ptr<Reader>> readers,
             WritePort& writes, ReadPort& reads, const StatusBoard& status,
             const common::Clock& clock);
  ~ServerPool();
  ServerPool(const ServerPool&) = delete;
  ServerPool& operator=(const ServerPool&) = delete;

  common::Status Listen();  // see SocketServer
  void Start();
  void Stop();  // takes no more clients, answers what has come, closes
  void Join();  // until all loops have done so

  ChangeListener& listener() { return listener_; }
  std::size_t loops() const { return servers_.size(); }
  LoopPort& loop(std::size_t index) { return *servers_[index]; }
  std::unique_ptr<ServerStats> TotalStats() const { return shared_.TotalStats(); }

 private:
  SharedServices shared_;
  std::vector<std::unique_ptr<SocketServer>> servers_;
  NoticeFanOut listener_;
  std::vector<common::Thread> threads_;
};

}  // namespace agent
