// SocketServer: serves the cache to any Redis client, on one loop. An agent's ServerPool has one or
// several; one of them listens on the Unix socket and hands clients over to the others.
//
// Thread: Listen before Run; Run blocks the loop's thread; Stop, notices and LoopPort from any.
// Lifetime: reader's cache, ports, status board, clock and what loops share outlive the server,
// which outlives the cache's writer (its notices are told of the writer's changes).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/cache/agent_status.h"
#include "agent/cache/cache.h"
#include "agent/server/connection.h"
#include "agent/server/keyspace_notices.h"
#include "agent/server/loop_port.h"
#include "agent/server/read_port.h"
#include "agent/server/redirect_inbox.h"
#include "agent/server/services.h"
#include "agent/server/uv.h"
#include "agent/server/write_port.h"
#include "common/clock.h"
#include "common/mailbox.h"
#include "common/read_limits.h"

namespace agent {

std::string NewRunId();

struct ServerOptions {
  std::string path = {};     // --socket
  unsigned mode = 0660;      // --socket-mode, of the socket file
  std::string service = {};  // named in errors and INFO
  std::string version = "0.1.0";
  std::string run_id = NewRunId();                // see ServerIdentity
  std::size_t clients_max = common::kClientsMax;  // more are told so and closed
  OutputLimits output = {};
  std::chrono::milliseconds drain_max{5000};  // Stop waits this long for replies to be taken
  std::chrono::milliseconds write_visible_max{3000};  // see Services
  std::function<std::size_t()> cache_bytes = {};      // for INFO; may be empty
};

// What servers work with.
struct ServerParts {
  WritePort& writes;
  ReadPort& reads;
  const StatusBoard& status;
  const common::Clock& clock;
  SharedServices& shared;
};

class SocketServer final : public LoopPort, private ConnectionOwner {
 public:
  // `loop`: its place in shared.loops, of which there will be `threads`.
  SocketServer(const ServerOptions& options, const ServerParts& parts, std::size_t loop,
               std::size_t threads, std::unique_ptr<Reader> reader);
  ~SocketServer() override;
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  // Takes clients itself. Makes the socket file; see PrepareSocketPath for what it refuses.
  common::Status Listen();
  void Run();   // until Stop has drained the connections
  void Stop();  // takes no more clients, answers what has come, closes
  KeyspaceNotices& notices() { return notices_; }

  // --- LoopPort
  [[nodiscard]] bool Adopt(std::uint64_t client, uv::Connected connection) override;
  [[nodiscard]] bool Ask(std::function<void(Services&)> question) override;
  void Invalidate(std::uint64_t client, std::optional<std::string_view> key) override;
  const ServerStats& stats() const override { return services_.stats; }
  std::size_t subscribers() const override { return subscriptions_.subscribers(); }

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
  struct ToSubmit {
    std::uint64_t session;
    std::uint64_t ticket;
    WriteBatch batch;
  };
  struct HandedOver {
    std::uint64_t client = 0;
    uv::Connected connection = {};
  };

  void Submit(std::uint64_t session, std::uint64_t ticket, WriteBatch batch);
  void SubmitAll();
  void Ask(std::uint64_t session, std::uint64_t ticket, ReadQuestion question);
  void OnConnection();
  void HandOver(const ClientDirectory::Seat& seat);
  void AdoptClients();
  std::unique_ptr<Connection> MakeConnection(std::uint64_t client);
  void Serve(std::uint64_t client, std::unique_ptr<Connection> connection);
  void Refuse();
  void OnWake();
  void EndTurn();
  bool FillIndex();
  void SettleOutcomes();
  void SettleAnswers();
  void HearOthers();  // loops
  void EndWaits();
  void StartWaitTimer();
  void WatchFreshness();
  void DeliverNotices();
  void ResumeConnections();
  void FlushTouched();
  void BeginDrain();
  void EndDrain();
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
  Tracking tracking_;
  Waits waits_;
  KeyspaceNotices notices_;
  const std::shared_ptr<Outcomes> outcomes_;
  const std::shared_ptr<Answers> answers_;
  common::Mailbox<std::function<void(Services&)>> questions_;
  common::Mailbox<HandedOver> handed_over_;
  RedirectInbox redirected_;
  Services services_;
  std::unique_ptr<uv::Listener> listener_;
  std::vector<char> scratch_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> to_resume_;
  // At the end of the turn: what one turn brings goes to the other thread at once.
  std::vector<ReadQuestion> to_ask_;
  std::vector<ToSubmit> to_submit_;
  std::atomic<bool> stop_{false};
  bool draining_ = false;
  bool watching_ = false;  // freshness_timer_ runs
};

}  // namespace agent
