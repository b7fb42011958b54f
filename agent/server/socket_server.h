// SocketServer: serves the cache to any Redis client on a Unix socket.
//
// Thread: Listen before Run; Run blocks the loop's thread; Stop, Ask, stats and listener from any.
// Lifetime: reader's cache, ports, status board and clock outlive the server, which outlives the
// cache's writer (it is the writer's ChangeListener). One server is one loop with its own Reader.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/cache/agent_status.h"
#include "agent/cache/cache.h"
#include "agent/server/connection.h"
#include "agent/server/keyspace_notices.h"
#include "agent/server/read_port.h"
#include "agent/server/services.h"
#include "agent/server/uv.h"
#include "agent/server/write_port.h"
#include "common/clock.h"
#include "common/mailbox.h"
#include "common/read_limits.h"

namespace agent {

struct ServerOptions {
  std::string path = {};     // --socket
  unsigned mode = 0660;      // --socket-mode, of the socket file
  std::string service = {};  // named in errors and INFO
  std::string version = "0.1.0";
  std::size_t clients_max = common::kClientsMax;  // more are told so and closed
  OutputLimits output = {};
  std::chrono::milliseconds drain_max{5000};  // Stop waits this long for replies to be taken
  std::chrono::milliseconds write_visible_max{3000};  // see Services
  std::function<std::size_t()> cache_bytes = {};      // for INFO; may be empty
};

class SocketServer final : private ConnectionOwner {
 public:
  SocketServer(const ServerOptions& options, std::unique_ptr<Reader> reader, WritePort& writes,
               ReadPort& reads, const StatusBoard& status, const common::Clock& clock);
  ~SocketServer() override;

  // Makes the socket file; see PrepareSocketPath for what it refuses.
  common::Status Listen();
  void Run();   // until Stop has drained the connections
  void Stop();  // takes no more clients, answers what has come, closes
  // Runs `question` on the loop. False: too many wait, or the server has stopped.
  [[nodiscard]] bool Ask(std::function<void(Services&)> question);

  ChangeListener& listener() { return notices_; }
  const ServerStats& stats() const { return services_.stats; }

 private:
  // The outcome of a session's write on its way back. Writes may outlive the server.
  struct Outcome {
    std::uint64_t session;
    std::uint64_t ticket;
    WriteOutcome outcome;
  };
  using Outcomes = common::Mailbox<Outcome>;
  // Likewise for what a session has asked of the read port.
  struct Answer {
    std::uint64_t session;
    std::uint64_t ticket;
    std::string dataset;
    ReadAnswer answer;
  };
  using Answers = common::Mailbox<Answer>;

  void Submit(std::uint64_t session, std::uint64_t ticket, WriteBatch batch);
  void Ask(std::uint64_t session, std::uint64_t ticket, ReadQuestion question);
  void OnConnection();
  void Refuse();
  void OnWake();
  void EndTurn();
  bool FillIndex();
  void SettleOutcomes();
  void SettleAnswers();
  void EndWaits();
  void StartWaitTimer();
  void WatchFreshness();
  void DeliverNotices();
  void ResumeConnections();
  void FlushTouched();
  void BeginDrain();
  void StopIfIdle();
  void Close(std::uint64_t id) override;
  void ResumeSoon(std::uint64_t id) override;

  const ServerOptions options_;
  uv::Loop loop_;
  uv::Async async_;
  uv::TurnEnd turn_end_;
  uv::Timer drain_timer_;
  uv::Timer wait_timer_;
  uv::Timer freshness_timer_;
  uv::Idle fill_index_;
  WritePort& write_port_;
  ReadPort& read_port_;
  Snapshot snapshot_;
  Subscriptions subscriptions_;
  Tracking tracking_{common::kTrackedKeysMax};
  Waits waits_;
  KeyspaceNotices notices_;
  const std::shared_ptr<Outcomes> outcomes_;
  const std::shared_ptr<Answers> answers_;
  common::Mailbox<std::function<void(Services&)>> questions_;
  Services services_;
  std::unique_ptr<uv::Listener> listener_;
  std::vector<char> scratch_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> to_resume_;
  std::vector<ReadQuestion> to_ask_;  // at the end of the turn
  std::uint64_t next_id_ = 1;
  std::atomic<bool> stop_{false};
  bool draining_ = false;
  bool watching_ = false;  // freshness_timer_ runs
};

}  // namespace agent
