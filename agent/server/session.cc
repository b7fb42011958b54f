#include "agent/server/session.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/resp_errors.h"
#include "agent/server/write_limits.h"
#include "common/limits.h"

namespace agent {
namespace {

constexpr std::string_view kSubscribedRefusal =
    "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
    "allowed in this context";

}  // namespace

Session::Session(std::uint64_t id, Services& services) : services_(services) {
  client_.id = id;
  client_.since = client_.last_used = services_.clock.Now();
  services_.sessions.emplace(id, this);
  services_.stats.clients_now.Add();
}

Session::~Session() {
  UnsubscribeAll();
  services_.tracking.Remove(*this);
  services_.sessions.erase(client_.id);
  services_.stats.clients_now.Subtract();
}

// --- input ------------------------------------------------------------------------------------

void Session::Receive(std::string_view bytes) {
  if (quit_) return;
  if (kept_.empty()) {
    kept_.assign(bytes.substr(Handle(bytes)));
  } else {
    kept_.append(bytes);
    if (!blocked_) kept_.erase(0, Handle(kept_));
  }
}

void Session::Resume() {
  if (blocked_ && !quit_) kept_.erase(0, Handle(kept_));
}

void Session::Abandon() {
  quit_ = true;
  Touch();
}

void Session::EndInput() { input_ended_ = true; }

void Session::Touch() {
  if (!std::exchange(touched_, true)) services_.touched.push_back(client_.id);
}

// Returns how many of the bytes are dealt with.
std::size_t Session::Handle(std::string_view bytes) {
  std::size_t done = 0;
  CommandBatch& batch = services_.batch;
  for (;;) {
    blocked_ = !quit_ && over_soft_limit();
    if (blocked_) return done;
    batch.Fill(bytes.substr(done), parser_, services_.commands);
    done += HandleBatch(batch);
    if (quit_) return bytes.size();
    if (blocked_ || batch.needs_more()) return done;
  }
}

std::size_t Session::HandleBatch(const CommandBatch& batch) {
  if (batch.items().empty()) return batch.consumed();
  client_.last_used = services_.clock.Now();
  reads_ = 0;
  std::size_t done = 0;
  const Reader* reader = nullptr;
  if (!batch.lone_keys().empty()) {
    reader = services_.snapshot.Take().value_or(nullptr);  // a failure is told by who reads
    if (reader != nullptr) services_.prefetched.Fetch(*reader, batch.lone_keys());
  }
  for (const CommandBatch::Item& item : batch.items()) {
    blocked_ = over_soft_limit();
    if (!blocked_ && !AnswerAtOnce(reader, item)) HandleItem(batch, item);
    if (blocked_) parser_.Reset();  // what was parsed ahead will be parsed again
    if (blocked_ || quit_) break;
    done = item.end;
  }
  if (reads_ > 0) {
    services_.stats.read_latency.Add(services_.clock.Now() - client_.last_used, reads_);
  }
  return blocked_ ? done : batch.consumed();
}

bool Session::AnswerAtOnce(const Reader* reader, const CommandBatch::Item& item) {
  const bool is_get = item.spec != nullptr && item.spec->handler == &commands::Get;
  const bool free = !transaction_ && replies_.waiting() == 0 && subscriptions() == 0;
  if (reader == nullptr || !is_get || item.count != 2 || !free) return false;
  need_ = default_need_;
  const CommandSpec* outer = std::exchange(running_, item.spec);
  const auto found = ReadAtOnce(*this, *reader, services_.prefetched[item.lone_key]);
  running_ = outer;
  if (!found) return false;
  reply().Bulk(found->entry.value);
  services_.stats.commands_total.Add();
  NoteCall(*item.spec);
  ++reads_;
  return true;
}

void Session::HandleItem(const CommandBatch& batch, const CommandBatch::Item& item) {
  switch (item.result) {
    case RespParser::Result::kNeedMore:
      break;
    case RespParser::Result::kCommand:
      blocked_ = !Dispatch(item.spec, batch.ArgsOf(item));
      break;
    case RespParser::Result::kOverLimit:
      Reject(nullptr, parser_.error());
      break;
    case RespParser::Result::kProtocolError:
      services_.stats.protocol_errors.Add();
      reply().Error(parser_.error());
      quit_ = true;
      break;
  }
}

// --- dispatch ---------------------------------------------------------------------------------

std::optional<std::string> Session::Refusal(Args args, const CommandSpec* spec) const {
  if (spec == nullptr) return UnknownCommandError(args);
  if ((spec->flags & kContainer) != 0 && args.size() > 1) return UnknownSubcommandError(args);
  if (!ArityFits(*spec, args.size())) return ArityError(*spec);
  if (client_.resp == RespVersion::k2 && subscriptions() > 0 &&
      (spec->flags & kWhenSubscribed) == 0) {
    return fmt::format(fmt::runtime(kSubscribedRefusal), LowerCase(spec->name));
  }
  if (transaction_ && (spec->flags & kNoMulti) != 0) {
    return "ERR Command not allowed inside a transaction";
  }
  return std::nullopt;
}

void Session::Reject(const CommandSpec* spec, std::string_view error) {
  if (spec == nullptr) {
    services_.stats.unknown_commands.Add();
  } else {
    services_.stats.commands[CommandTable::IndexOf(*spec)].rejected.Add();
  }
  if (transaction_) transaction_->broken = true;
  reply().Error(error);
}

bool Session::MustWait(const CommandSpec& spec) const {
  if (replies_.waiting() == 0) return false;
  if (replies_.waiting() >= common::kPendingWritesPerClientMax) return true;
  if (transaction_ && (spec.flags & kTransaction) == 0) return false;  // will be queued
  if (transaction_ && transaction_->has_reads) return true;
  if (suspended_.empty()) return (spec.flags & (kWrite | kUnordered)) == 0;
  // Reads go side by side, unless one of them waits for something that later ones count on.
  const auto waits = [](const auto& read) { return read.second.waits; };
  return (spec.flags & kReadOnly) == 0 || !writes_.empty() ||
         std::any_of(suspended_.begin(), suspended_.end(), waits);
}

bool Session::Dispatch(const CommandSpec* spec, Args args) {
  if (const auto refusal = Refusal(args, spec)) {
    Reject(spec, *refusal);
    return true;
  }
  if (MustWait(*spec)) return false;
  services_.stats.commands_total.Add();
  if (transaction_ && (spec->flags & kTransaction) == 0) {
    Enqueue(*spec, args);
  } else {
    Run(*spec, args);
  }
  return true;
}

void Session::NoteCall(const CommandSpec& spec) {
  services_.stats.commands[CommandTable::IndexOf(spec)].calls.Add();
  client_.last_command = spec.name;
}

void Session::Run(const CommandSpec& spec, Args args) {
  NoteCall(spec);
  if (spec.write != nullptr) return RunWrite(spec, args);
  const CommandSpec* outer = std::exchange(running_, &spec);
  need_ = default_need_;
  const std::size_t begun = target().size();
  spec.handler(*this, args);
  if (lacks_.any()) {
    target().resize(begun);
    Suspend(spec, args);
  }
  running_ = outer;
  if (!not_kept_.empty()) TakeBackNotKept();
  FlushPushes();
  const bool outermost = outer == nullptr && target_ == nullptr;
  if (outermost && spec.handler != &commands::ClientCaching && !transaction_) caching_.reset();
  if ((spec.flags & kReadOnly) != 0) ++reads_;
}

void Session::RunWrite(const CommandSpec& spec, Args args) {
  WriteRequest request;
  auto error = spec.write(args, request);
  if (!error) error = BatchLimitError(request.writes.size(), BytesOf(request.writes));
  if (error) return Reject(&spec, *error);
  const std::size_t count = request.writes.size();
  Submit({.writes = std::move(request.writes)},
         [this, count, reply = request.reply](const WriteOutcome& outcome, std::string& out) {
           RespWriter writer(out, client_.resp);
           if (!outcome.status.ok()) return writer.Error(WriteError(outcome.status));
           ComposeWriteReply(reply, outcome, 0, count, writer);
         });
}

bool Session::reads_only_look() const {
  return plain() && !tracking_.on && watches_.keys.empty();
}

const Reader* Session::Read() {
  const auto reader = services_.snapshot.Take();
  if (reader.ok()) return *reader;
  reply().Error(ReadError(reader.status(), {}));
  return nullptr;
}

void Session::Count(ReadResult result) {
  services_.stats.commands[CommandTable::IndexOf(*running_)]
      .reads[static_cast<std::size_t>(result)]
      .Add();
}

// --- subscriptions ----------------------------------------------------------------------------

void Session::UnsubscribeAll() {
  for (const std::string& channel : channels_) services_.subscriptions.Remove(channel, *this);
  for (const std::string& pattern : patterns_)
    services_.subscriptions.RemovePattern(pattern, *this);
  channels_.clear();
  patterns_.clear();
}

void Session::Reset() {
  UnsubscribeAll();
  transaction_.reset();
  Unwatch();
  client_.name.clear();
  client_.resp = RespVersion::k2;
  last_write_.reset();
  default_need_ = {};
  if (tracking_.on) SetTracking({});
}

// Beyond the hard limit the client is about to be closed anyway.
bool Session::TakesMessages() const {
  return !quit_ && replies_.output().size() <= services_.output.max;
}

void Session::OnMessage(std::string_view channel, std::string_view message) {
  if (!TakesMessages()) return;
  RespWriter writer(replies_.output(), client_.resp);
  writer.Push(3);
  writer.Bulk("message");
  writer.Bulk(channel);
  writer.Bulk(message);
  Touch();
}

void Session::OnPatternMessage(std::string_view pattern, std::string_view channel,
                               std::string_view message) {
  if (!TakesMessages()) return;
  RespWriter writer(replies_.output(), client_.resp);
  writer.Push(4);
  writer.Bulk("pmessage");
  writer.Bulk(pattern);
  writer.Bulk(channel);
  writer.Bulk(message);
  Touch();
}

}  // namespace agent
