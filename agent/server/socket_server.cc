#include "agent/server/socket_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "agent/server/socket_path.h"
#include "common/limits.h"

namespace agent {
namespace {

constexpr std::size_t kScratchBytes = 64 * common::kKiB;
constexpr std::size_t kOutcomesMax = common::kClientsMax * common::kPendingWritesPerClientMax;
// Of each client one and its answers (CLIENT LIST), and those of the admin side.
constexpr std::size_t kQuestionsMax = common::kClientsMax * common::kLoopThreadsMax + 1024;
constexpr std::size_t kRedirectedKeysMax = 100'000;
constexpr std::chrono::milliseconds kFreshnessWatch{100};
constexpr std::size_t kFilledAtOnce = 16;
constexpr std::chrono::microseconds kFillTurn{50};
constexpr std::string_view kTooManyClients = "-ERR max number of clients reached\r\n";

ServerIdentity IdentityOf(const ServerOptions& options, std::size_t threads,
                          const common::Clock& clock) {
  return {.service = options.service,
          .version = options.version,
          .socket = options.path,
          .run_id = options.run_id,
          .clients_max = options.clients_max,
          .threads = threads,
          .started = clock.Now()};
}

// For a client that is only told to go away.
class IgnoreEvents final : public uv::PipeHandler {
 public:
  void OnRead(std::string_view) override {}
  void OnEnd() override {}
  void OnFailed() override {}
  void OnWritten() override {}
};

}  // namespace

std::string NewRunId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 5; ++i) id += fmt::format("{:08x}", random());
  return id;
}

SocketServer::SocketServer(const ServerOptions& options, const ServerParts& parts, std::size_t loop,
                           std::size_t threads, std::unique_ptr<Reader> reader)
    : options_(options),
      async_(loop_, [this] { OnWake(); }),
      turn_end_(loop_, [this] { EndTurn(); }),
      drain_timer_(loop_, [this] { EndDrain(); }),
      // Not OnWake itself: the loop would sleep behind it before it comes to EndTurn.
      wait_timer_(loop_, [waker = async_.waker()] { waker.Wake(); }),
      freshness_timer_(loop_, [this] { WatchFreshness(); }),
      fill_index_(loop_, [this] { return FillIndex(); }),
      write_port_(parts.writes),
      read_port_(parts.reads),
      snapshot_(std::move(reader), parts.status, /*alone=*/threads == 1),
      tracking_(common::kTrackedKeysMax / threads),
      notices_(subscriptions_, tracking_, waits_, [waker = async_.waker()] { waker.Wake(); }),
      outcomes_(
          std::make_shared<Outcomes>(kOutcomesMax, [waker = async_.waker()] { waker.Wake(); })),
      answers_(std::make_shared<Answers>(kOutcomesMax, [waker = async_.waker()] { waker.Wake(); })),
      questions_(kQuestionsMax, [waker = async_.waker()] { waker.Wake(); }),
      handed_over_(common::kClientsMax, [waker = async_.waker()] { waker.Wake(); }),
      redirected_(kRedirectedKeysMax, [waker = async_.waker()] { waker.Wake(); }),
      services_{.identity = IdentityOf(options, threads, parts.clock),
                .output = options.output,
                .snapshot = snapshot_,
                .subscriptions = subscriptions_,
                .tracking = tracking_,
                .waits = waits_,
                .status = parts.status,
                .clock = parts.clock,
                .submit = [this](auto session, auto ticket,
                                 auto batch) { Submit(session, ticket, std::move(batch)); },
                .ask = [this](auto session, auto ticket,
                              auto question) { Ask(session, ticket, std::move(question)); },
                .cache_bytes = options.cache_bytes,
                .shared = parts.shared,
                .loop = loop,
                .write_visible_max = options.write_visible_max},
      scratch_(kScratchBytes) {}

SocketServer::~SocketServer() {
  outcomes_->Close();
  answers_->Close();
}

common::Status SocketServer::Listen() {
  RETURN_IF_ERROR(PrepareSocketPath(options_.path));
  ASSIGN_OR_RETURN(listener_, uv::Listener::Listen(loop_, options_.path, options_.mode,
                                                   [this] { OnConnection(); }));
  return common::OkStatus();
}

void SocketServer::Run() {
  fill_index_.Start();
  loop_.Run();
}

void SocketServer::Stop() {
  stop_.store(true);
  async_.waker().Wake();
}

bool SocketServer::Adopt(std::uint64_t client, uv::Connected connection) {
  return handed_over_.Post({client, std::move(connection)});
}

bool SocketServer::Ask(std::function<void(Services&)> question) {
  return questions_.Post(std::move(question));
}

void SocketServer::Invalidate(std::uint64_t client, std::optional<std::string_view> key) {
  redirected_.Add(client, key);
}

void SocketServer::Submit(std::uint64_t session, std::uint64_t ticket, WriteBatch batch) {
  to_submit_.push_back({session, ticket, std::move(batch)});
}

void SocketServer::SubmitAll() {
  for (ToSubmit& write : std::exchange(to_submit_, {})) {
    write_port_.Submit(std::move(write.batch), [outcomes = outcomes_, session = write.session,
                                                ticket = write.ticket](WriteOutcome outcome) {
      // Refused only when the server is gone, and with it the client.
      (void)outcomes->Post({session, ticket, std::move(outcome)});
    });
  }
}

void SocketServer::Ask(std::uint64_t session, std::uint64_t ticket, ReadQuestion question) {
  question.done = [answers = answers_, session, ticket,
                   dataset = question.dataset](ReadAnswer answer) {
    (void)answers->Post({session, ticket, dataset, std::move(answer)});
  };
  to_ask_.push_back(std::move(question));
}

// --- connections ------------------------------------------------------------------------------

void SocketServer::OnConnection() {
  const auto seat = services_.shared.clients.Admit();
  if (!seat) return Refuse();
  if (seat->loop != services_.loop) return HandOver(*seat);
  auto connection = MakeConnection(seat->client);
  if (listener_->Accept(connection->pipe())) return Serve(seat->client, std::move(connection));
  services_.shared.clients.Remove(seat->client);
}

void SocketServer::HandOver(const ClientDirectory::Seat& seat) {
  uv::Connected connection = listener_->AcceptForOther();
  LoopPort& loop = *services_.shared.loops[seat.loop];
  if (connection.valid() && loop.Adopt(seat.client, std::move(connection))) return;
  services_.shared.clients.Remove(seat.client);
}

void SocketServer::AdoptClients() {
  for (HandedOver& handed : handed_over_.TakeAll()) {
    auto connection = draining_ ? nullptr : MakeConnection(handed.client);
    if (connection != nullptr && connection->pipe().Open(std::move(handed.connection))) {
      Serve(handed.client, std::move(connection));
    } else {
      services_.shared.clients.Remove(handed.client);
    }
  }
}

std::unique_ptr<Connection> SocketServer::MakeConnection(std::uint64_t client) {
  return std::make_unique<Connection>(client, loop_, scratch_, services_,
                                      static_cast<ConnectionOwner&>(*this));
}

void SocketServer::Serve(std::uint64_t client, std::unique_ptr<Connection> connection) {
  services_.stats.clients_total.Add();
  Connection& made = *connection;
  connections_.emplace(client, std::move(connection));
  made.Flush();
}

void SocketServer::Refuse() {
  IgnoreEvents ignore;
  uv::Pipe pipe(loop_, scratch_, ignore);
  if (!listener_->Accept(pipe)) return;
  services_.stats.clients_refused.Add();
  (void)pipe.TryWrite(kTooManyClients);
}

void SocketServer::Close(std::uint64_t id) {
  if (connections_.erase(id) == 0) return;
  services_.shared.clients.Remove(id);
  if (draining_) StopIfIdle();
}

void SocketServer::ResumeSoon(std::uint64_t id) {
  to_resume_.push_back(id);
  async_.waker().Wake();
}

// --- turns ------------------------------------------------------------------------------------

void SocketServer::OnWake() {
  // What arrives now happened after the snapshot was taken; its reader must see it.
  snapshot_.Release();
  if (services_.shared.loops.size() > 1) HearOthers();
  DeliverNotices();
  SettleOutcomes();
  SettleAnswers();
  EndWaits();
  for (const auto& question : questions_.TakeAll()) question(services_);
  FlushTouched();
  ResumeConnections();
  if (stop_.load() && !draining_) BeginDrain();
}

// Entries are taken in between the events of clients, some in each turn: by time, since the first
// ones touch memory that the system has yet to give.
// After the last ones the loop may sleep at once, and a snapshot that is held keeps LMDB from using
// old pages again: the file would grow with each commit.
bool SocketServer::FillIndex() {
  const common::MonotonicTime end = services_.clock.Now() + kFillTurn;
  bool more = true;
  while (more && services_.clock.Now() < end) more = snapshot_.FillIndex(kFilledAtOnce);
  if (!more) snapshot_.Release();
  return more;
}

void SocketServer::EndTurn() {
  snapshot_.Release();
  if (snapshot_.WantsFill()) fill_index_.Start();
  if (!to_submit_.empty()) SubmitAll();
  if (!to_ask_.empty()) read_port_.Read(std::exchange(to_ask_, {}));
  if (tracking_.any() && !std::exchange(watching_, true)) freshness_timer_.Start(kFreshnessWatch);
  // Looks again: what is waited for may have come before it was listed.
  if (waits_.TakeAdded()) async_.waker().Wake();
}

void SocketServer::SettleOutcomes() {
  for (Outcome& settled : outcomes_->TakeAll()) {
    const auto found = services_.sessions.find(settled.session);
    if (found == services_.sessions.end()) continue;  // the client has gone
    found->second->OnOutcome(settled.ticket, std::move(settled.outcome));
  }
}

void SocketServer::SettleAnswers() {
  for (Answer& told : answers_->TakeAll()) {
    const auto found = services_.sessions.find(told.session);
    if (found == services_.sessions.end()) continue;
    found->second->OnAnswer(told.ticket, told.dataset, std::move(told.answer));
  }
}

void SocketServer::HearOthers() {
  AdoptClients();
  for (const auto& [client, keys] : redirected_.TakeAll()) {
    const auto found = services_.sessions.find(client);
    if (found == services_.sessions.end()) continue;
    if (!keys) {
      found->second->TakeInvalid(std::nullopt);
    } else {
      for (const std::string& key : *keys) found->second->TakeInvalid(key);
    }
  }
}

void SocketServer::EndWaits() {
  if (waits_.size() == 0) return;
  const auto over =
      waits_.TakeOver([this](const WaitTarget& target) { return snapshot_.Reached(target); },
                      services_.clock.Now());
  for (const Waits::Over& wait : over) {
    const auto found = services_.sessions.find(wait.session);
    if (found != services_.sessions.end()) found->second->OnWaitOver(wait.ticket, wait.in_time);
  }
  // Also when none was over: libuv counts whole milliseconds, so that the timer may have come
  // before the deadline, and nothing else may wake the loop again.
  StartWaitTimer();
}

void SocketServer::StartWaitTimer() {
  const auto next = waits_.next_deadline();
  if (!next) return wait_timer_.Stop();
  const auto delay = *next - services_.clock.Now();
  wait_timer_.Start(std::chrono::ceil<common::Millis>(std::max(delay, delay.zero())));
}

// What clients keep must not outlive the freshness that the agent would answer with.
void SocketServer::WatchFreshness() {
  for (const auto& [id, session] : services_.sessions) session->CheckKept();
  FlushTouched();
  watching_ = tracking_.any() && !draining_;
  if (watching_) freshness_timer_.Start(kFreshnessWatch);
}

void SocketServer::DeliverNotices() {
  const auto exists = [this](std::string_view dataset, std::string_view key) {
    const auto reader = snapshot_.Take();
    if (!reader.ok() || (*reader)->CoverageOf(dataset, key) != Coverage::kReadable) return false;
    const auto found = (*reader)->Get(dataset, key);
    if (!found.ok() || !found->has_value()) return false;
    const std::int64_t expires_at_ms = (*found)->entry.expires_at_ms;
    return expires_at_ms == 0 || expires_at_ms > snapshot_.NowMillis(services_.clock);
  };
  const auto delivery = notices_.Deliver(exists);
  services_.stats.notices.Add(delivery.messages);
  if (!delivery.lost) return;
  services_.stats.notices_lost.Add();
  for (Subscriber* subscriber : services_.subscriptions.Everyone()) {
    static_cast<Session*>(subscriber)->Abandon();
  }
}

void SocketServer::ResumeConnections() {
  for (const std::uint64_t id : std::exchange(to_resume_, {})) {
    if (const auto found = connections_.find(id); found != connections_.end()) {
      found->second->Resume();
    }
  }
}

void SocketServer::FlushTouched() {
  for (const std::uint64_t id : std::exchange(services_.touched, {})) {
    if (const auto found = connections_.find(id); found != connections_.end()) {
      found->second->Flush();
    }
  }
}

void SocketServer::BeginDrain() {
  draining_ = true;
  listener_.reset();
  std::vector<std::uint64_t> ids;
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (const auto found = connections_.find(id); found != connections_.end()) {
      found->second->Drain();
    }
  }
  drain_timer_.Start(options_.drain_max);
  StopIfIdle();
}

void SocketServer::EndDrain() {
  for (const auto& [id, connection] : connections_) services_.shared.clients.Remove(id);
  connections_.clear();
  StopIfIdle();
}

void SocketServer::StopIfIdle() {
  if (!connections_.empty()) return;
  handed_over_.Close();
  AdoptClients();  // closes them
  questions_.Close();
  for (const auto& question : questions_.TakeAll()) question(services_);  // whoever asked waits
  loop_.Stop();
}

}  // namespace agent
