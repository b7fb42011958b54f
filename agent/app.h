// App: the agent's parts, in the order in which they are started and, backwards, stopped.
//
// Thread: main.  Lifetime: the process; log, clock and metrics outlive it.
// cache → publisher, remote reader → socket (answers at once, -LOADING or what was kept) → sync →
// admin.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "agent/admin_pages.h"
#include "agent/cache/agent_status.h"
#include "agent/cache/cache.h"
#include "agent/options.h"
#include "agent/publish/publisher.h"
#include "agent/read_router.h"
#include "agent/remote/remote_reader.h"
#include "agent/server/server_pool.h"
#include "agent/xds/syncer.h"
#include "common/admin_server.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/metrics.h"
#include "common/thread.h"

namespace agent {

class App {
 public:
  App(AgentOptions options, const common::Clock& clock, common::Log& log);
  // Takes no more clients, answers what has come, ends the streams, flushes the cache.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // A failure says which part could not start; then destroy the app.
  common::Status Start();
  // With --exit-when-idle: it stopped because no application was ever seen.
  bool nobody_came() const { return nobody_came_; }

 private:
  common::Status OpenCache();
  common::StatusOr<std::vector<std::unique_ptr<Reader>>> MakeReaders();
  common::Status StartSocket();
  common::Status StartSync();
  common::Status StartAdmin();
  common::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials() const;
  void AddPages();
  void WatchForIdleness();

  const AgentOptions options_;
  const common::Clock& clock_;
  common::Log& log_;
  common::Metrics metrics_;
  StatusBoard board_;
  Readiness readiness_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::unique_ptr<Cache> cache_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<RemoteReader> remote_;
  std::unique_ptr<ReadRouter> router_;
  std::unique_ptr<ServerPool> servers_;
  std::unique_ptr<Syncer> syncer_;
  std::unique_ptr<common::AdminServer> admin_;
  std::atomic<bool> nobody_came_{false};
  common::Mailbox<int> stop_idle_{1};
  common::Thread idle_;
};

}  // namespace agent
