// Session: MULTI, EXEC and WATCH.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "agent/server/key_access.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"
#include "agent/server/write_limits.h"

namespace agent {

using common::StatusCode;
using SeenVersion = std::optional<common::Version>;

// --- queueing ---------------------------------------------------------------------------------

void Session::Enqueue(const CommandSpec& spec, Args args) {
  Transaction& transaction = *transaction_;
  if (transaction.commands.size() >= common::kMultiCommandsMax) {
    return Reject(&spec, fmt::format("TOOBIG transaction of more than {} commands",
                                     common::kMultiCommandsMax));
  }
  if (spec.write != nullptr) {
    if (const auto error = EnqueueWrite(spec, args)) return Reject(&spec, *error);
  } else {
    for (const std::string_view arg : args) transaction.bytes += arg.size();
    if (transaction.bytes > common::kRespCommandBytesMax) {
      return Reject(&spec, fmt::format("TOOBIG transaction of more than {} bytes",
                                       common::kRespCommandBytesMax));
    }
    transaction.has_reads = true;
    transaction.commands.push_back({.spec = &spec, .args = {args.begin(), args.end()}});
  }
  reply().Simple("QUEUED");
}

std::optional<std::string> Session::EnqueueWrite(const CommandSpec& spec, Args args) {
  WriteRequest request;
  if (auto error = spec.write(args, request)) return error;
  Transaction& transaction = *transaction_;
  transaction.bytes += BytesOf(request.writes);
  if (auto error =
          BatchLimitError(transaction.writes.size() + request.writes.size(), transaction.bytes)) {
    return error;
  }
  transaction.commands.push_back(
      {.spec = &spec, .args = {}, .writes = request.writes.size(), .reply = request.reply});
  std::move(request.writes.begin(), request.writes.end(), std::back_inserter(transaction.writes));
  return std::nullopt;
}

// --- EXEC -------------------------------------------------------------------------------------

void Session::Execute() {
  Transaction transaction = std::move(*transaction_);
  transaction_.reset();
  const Watches watches = std::exchange(watches_, {});
  if (transaction.broken) {
    return reply().Error("EXECABORT Transaction discarded because of previous errors.");
  }
  if (watches.broken) return reply().NullArray();
  if (transaction.writes.empty()) {
    if (AreUnchangedHere(watches)) ComposeExec(transaction.commands, {}, target());
    return;
  }
  WriteBatch batch{.writes = std::move(transaction.writes)};
  for (const auto& [client_key, seen] : watches.keys) {
    std::string error;
    const auto ref = SplitKey(client_key, error);
    batch.checks.push_back({.dataset = std::string(ref->dataset),
                            .key = std::string(ref->key),
                            .version = seen.version,
                            .absent_since = seen.absent_since});
  }
  auto commands =
      std::make_shared<const std::vector<QueuedCommand>>(std::move(transaction.commands));
  Submit(std::move(batch),
         [this, commands, caching = caching_](const WriteOutcome& outcome, std::string& out) {
           RespWriter writer(out, client_.resp);
           if (outcome.status.code() == StatusCode::kAborted) return writer.NullArray();
           if (!outcome.status.ok()) return writer.Error(WriteError(outcome.status));
           const std::optional<bool> later = std::exchange(caching_, caching);
           ComposeExec(*commands, outcome, out);
           caching_ = later;
         });
}

void Session::ComposeExec(const std::vector<QueuedCommand>& commands, const WriteOutcome& outcome,
                          std::string& out) {
  std::string* outer = std::exchange(target_, &out);
  std::size_t write = 0;  // of the batch: the command's first
  reply().Array(commands.size());
  for (const QueuedCommand& command : commands) {
    if (command.spec->write != nullptr) {
      ComposeWriteReply(command.reply, outcome, write, command.writes, reply());
    } else {
      const std::vector<std::string_view> args(command.args.begin(), command.args.end());
      Run(*command.spec, args);
    }
    write += command.writes;
  }
  target_ = outer;
}

// --- WATCH ------------------------------------------------------------------------------------

// Watched again, an absent key keeps what was seen first: it must have stayed so from then on.
void Session::Watch(std::string_view client_key, const SeenKey& seen) {
  const auto [watched, first] = watches_.keys.emplace(client_key, seen);
  if (!first && watched->second.version != seen.version) watches_.broken = true;
}

void Session::CompareToWatched(std::string_view client_key, const SeenVersion& version) {
  const auto watched = watches_.keys.find(client_key);
  if (watched != watches_.keys.end() && watched->second.version != version) watches_.broken = true;
}

// A transaction that only reads is answered by local copies alone: by the snapshot in which the
// watched keys are still what they were. What came and went between two snapshots is not known
// here.
bool Session::AreUnchangedHere(const Watches& watches) {
  if (watches.keys.empty()) return true;
  const Reader* reader = Read();
  if (reader == nullptr) return false;
  for (const auto& [client_key, seen] : watches.keys) {
    std::string error;
    const auto ref = SplitKey(client_key, error);
    const auto found = reader->CoverageOf(ref->dataset, ref->key) == Coverage::kReadable
                           ? reader->Get(ref->dataset, ref->key)
                           : common::InvalidArgument("not here");
    if (!found.ok()) {
      reply().Error(fmt::format(
          "ERR a transaction that only reads looks at watched keys in local copies only, and {} "
          "cannot be read there; it may be watched for a transaction that writes",
          client_key));
      return false;
    }
    const bool live = found->has_value() && !Expired((*found)->entry.expires_at_ms);
    if ((live ? SeenVersion((*found)->version) : std::nullopt) == seen.version) continue;
    reply().NullArray();
    return false;
  }
  return true;
}

}  // namespace agent
