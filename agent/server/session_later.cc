// Session: replies that come later – of writes under way, and of reads that lack something.
#include <algorithm>
#include <utility>

#include "agent/server/resp_errors.h"
#include "agent/server/session.h"

namespace agent {

using common::StatusCode;

namespace {

std::string Join(const ClientLines& lines) {
  std::string text;
  for (const auto& [id, line] : lines) text += line;
  return text;
}

}  // namespace

// --- writes -----------------------------------------------------------------------------------

void Session::Submit(WriteBatch batch, ComposeWrite compose) {
  const std::uint64_t ticket = replies_.Add();
  PendingWrite& pending = writes_[ticket];
  pending.compose = std::move(compose);
  pending.visible_in = CopiesOf(batch.writes);
  if (tracking_.no_loop) {
    for (const SocketWrite& write : batch.writes) {
      pending.keys.push_back(write.dataset + "/" + write.key);
    }
  }
  services_.submit(client_.id, ticket, std::move(batch));
}

// One key stands for all of the same copy.
std::vector<WaitTarget> Session::CopiesOf(const std::vector<SocketWrite>& writes) const {
  std::vector<WaitTarget> targets;
  std::vector<const CopyStatus*> seen;
  const auto status = services_.status.Get();
  for (const SocketWrite& write : writes) {
    const CopyStatus* copy = status->Covering(write.dataset, write.key);
    if (copy == nullptr || copy->mode == common::Mode::kReadThrough) continue;
    const bool whole = copy->mode == common::Mode::kReplicate;
    if (whole && std::find(seen.begin(), seen.end(), copy) != seen.end()) continue;
    seen.push_back(copy);
    targets.push_back({.dataset = write.dataset,
                       .key = write.key,
                       .token = {},
                       .on_demand = copy->mode == common::Mode::kOnDemand});
  }
  return targets;
}

void Session::OnOutcome(std::uint64_t ticket, WriteOutcome outcome) {
  PendingWrite& write = writes_.at(ticket);
  write.outcome = std::move(outcome);
  write.decided = true;
  for (const Deferred& change : std::exchange(deferred_, {})) {
    OnKeyInvalid(change.key, change.version);
  }
  const bool durable = write.outcome.status.ok() && write.outcome.version.revision != 0;
  if (!durable) write.visible_in.clear();
  for (WaitTarget& target : write.visible_in) {
    target.token = write.outcome.version;
    if (!target.on_demand) continue;
    services_.shared.recent_writes.Note(target.dataset, target.key, target.token,
                                        services_.clock.Now());
  }
  std::erase_if(write.visible_in,
                [this](const WaitTarget& target) { return services_.snapshot.Reached(target); });
  if (write.visible_in.empty()) return SettleWrite(ticket);
  services_.waits.Add({.session = client_.id,
                       .ticket = ticket,
                       .targets = write.visible_in,
                       .deadline = services_.clock.Now() + services_.write_visible_max});
}

void Session::SettleWrite(std::uint64_t ticket) {
  replies_.Settle(ticket, [this, write = std::move(writes_.at(ticket))](std::string& out) {
    const WriteOutcome& outcome = write.outcome;
    (outcome.status.ok() ? services_.stats.writes_ok : services_.stats.writes_failed).Add();
    // Also if the copy lags: the token is then what helps.
    if (outcome.version.revision != 0) last_write_ = outcome.version;
    write.compose(outcome, out);
  });
  writes_.erase(ticket);
  FlushPushes();
  Resume();
  Touch();
}

// --- waiting ----------------------------------------------------------------------------------

void Session::OnWaitOver(std::uint64_t ticket, bool in_time) {
  if (const auto write = writes_.find(ticket); write != writes_.end()) {
    if (!in_time) write->second.outcome.status = NotVisibleError(write->second.outcome.version);
    return SettleWrite(ticket);
  }
  const auto read = suspended_.find(ticket);
  if (read == suspended_.end()) return;
  if (!in_time) return SettleRead(ticket, TimeoutReply(read->second));
  if (read->second.asked == 0) RunAgain(ticket);
}

// --- reads ------------------------------------------------------------------------------------

void Lacks::Add(ReadQuestion::Kind kind, std::string_view dataset, std::string_view key) {
  for (ReadQuestion& question : questions) {
    if (question.kind != kind || question.dataset != dataset) continue;
    question.keys.emplace_back(key);
    return;
  }
  questions.push_back({.kind = kind,
                       .dataset = std::string(dataset),
                       .keys = {std::string(key)},
                       .deadline = {},
                       .done = {}});
}

const RemoteRead* Session::Got(std::string_view client_key) const {
  if (got_ == nullptr) return nullptr;
  const auto found = got_->find(client_key);
  return found == got_->end() ? nullptr : &found->second;
}

void Session::Suspend(const CommandSpec& spec, Args args) {
  if (target_ != nullptr) {
    lacks_ = {};
    return reply().Error(
        "ERR a read inside MULTI is answered by local copies only, and this one needs the control "
        "plane; read before or after the transaction");
  }
  const std::uint64_t ticket = replies_.Add();
  Suspended& suspended = suspended_[ticket];
  suspended.spec = &spec;
  suspended.args.assign(args.begin(), args.end());
  suspended.deadline = services_.clock.Now() + lacks_.timeout;
  suspended.caching = caching_;
  // What is read next must not be older than what WATCH sees.
  suspended.waits = (spec.flags & kReadOnly) == 0;
  Ask(ticket, suspended);
}

void Session::Ask(std::uint64_t ticket, Suspended& suspended) {
  Lacks lacks = std::exchange(lacks_, {});
  suspended.asked = lacks.questions.size();
  if (!lacks.targets.empty()) {
    suspended.waits = true;
    services_.waits.Add({.session = client_.id,
                         .ticket = ticket,
                         .targets = std::move(lacks.targets),
                         .deadline = suspended.deadline});
  }
  for (ReadQuestion& question : lacks.questions) {
    question.deadline = suspended.deadline;
    services_.ask(client_.id, ticket, std::move(question));
  }
}

void Session::OnAnswer(std::uint64_t ticket, const std::string& dataset, ReadAnswer answer) {
  const auto found = suspended_.find(ticket);
  if (found == suspended_.end()) return;  // its time was up
  Suspended& read = found->second;
  --read.asked;
  if (!answer.status.ok()) read.error = RemoteReadError(answer.status, dataset);
  for (RemoteEntry& entry : answer.entries) {
    std::string key = dataset + "/" + entry.key;
    read.got.insert_or_assign(
        std::move(key), RemoteRead{std::move(entry), answer.epoch, answer.as_of, answer.shared});
  }
  if (read.asked == 0) RunAgain(ticket);
}

void Session::RunAgain(std::uint64_t ticket) {
  Suspended& read = suspended_.at(ticket);
  std::string out;
  if (!read.error.empty()) {
    RespWriter(out, client_.resp).Error(read.error);
    return SettleRead(ticket, std::move(out));
  }
  const std::vector<std::string_view> args(read.args.begin(), read.args.end());
  std::string* outer = std::exchange(target_, &out);
  const CommandSpec* running = std::exchange(running_, read.spec);
  got_ = &read.got;
  need_ = default_need_;
  const std::optional<bool> caching = std::exchange(caching_, read.caching);
  read.spec->handler(*this, args);
  caching_ = caching;
  got_ = nullptr;
  running_ = running;
  target_ = outer;
  if (!lacks_.any()) {
    SettleRead(ticket, std::move(out));
    return TakeBackNotKept();
  }
  not_kept_.clear();
  if (services_.clock.Now() < read.deadline) return Ask(ticket, read);
  lacks_ = {};
  SettleRead(ticket, TimeoutReply(read));
}

std::string Session::TimeoutReply(const Suspended& suspended) const {
  std::string out;
  RespWriter(out, client_.resp).Error(TimeoutError(LowerCase(suspended.spec->name)));
  return out;
}

void Session::SettleRead(std::uint64_t ticket, std::string reply) {
  suspended_.erase(ticket);
  replies_.Settle(ticket, [reply = std::move(reply)](std::string& out) { out += reply; });
  Resume();
  Touch();
}

// --- other loops ------------------------------------------------------------------------------

void Session::ListClients(const ListLoop& list) {
  const std::vector<LoopPort*>& loops = services_.shared.loops;
  ClientLines own = list(services_);
  if (loops.size() == 1) return reply().Verbatim(Join(own));
  if (target_ != nullptr) {
    return reply().Error("ERR CLIENT LIST inside MULTI needs --threads 1: it asks other threads");
  }
  const std::uint64_t ticket = replies_.Add();
  Listing& listing = listings_[ticket];
  listing.lines = std::move(own);
  listing.waiting = loops.size() - 1;
  std::size_t ended = 0;  // their clients are gone
  for (std::size_t loop = 0; loop < loops.size(); ++loop) {
    if (loop == services_.loop) continue;
    const bool asked = loops[loop]->Ask(
        [list, home = loops[services_.loop], id = client_.id, ticket](Services& there) {
          (void)home->Ask([lines = list(there), id, ticket](Services& here) {
            const auto found = here.sessions.find(id);
            if (found != here.sessions.end()) found->second->OnClients(ticket, lines);
          });
        });
    if (!asked) ++ended;
  }
  for (; ended > 0; --ended) OnClients(ticket, {});
}

void Session::OnClients(std::uint64_t ticket, ClientLines lines) {
  Listing& listing = listings_.at(ticket);
  listing.lines.merge(std::move(lines));
  if (--listing.waiting > 0) return;
  std::string reply;
  RespWriter(reply, client_.resp).Verbatim(Join(listing.lines));
  listings_.erase(ticket);
  SettleRead(ticket, std::move(reply));
}

}  // namespace agent
