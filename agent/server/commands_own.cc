#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/read_options.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"

namespace agent::commands {
namespace {

void ReplyAge(RespWriter& reply, const std::optional<std::chrono::milliseconds>& age) {
  if (age) {
    reply.Integer(age->count());
  } else {
    reply.Null();
  }
}

// Strips the options behind the keys; keys have a '/', options do not.
std::optional<std::string> TakeOptions(Session& session, Args& args) {
  std::size_t keys = 1;
  while (keys < args.size() && args[keys].find('/') != std::string_view::npos) ++keys;
  keys = std::max<std::size_t>(keys, 2);
  if (auto error = ParseReadOptions(args.subspan(keys), session.need())) return error;
  args = args.first(keys);
  return std::nullopt;
}

// [value, revision, age_ms, source]; what is not there or not known is null.
void ReplyWithMeta(RespWriter& reply, const KeyRead& read) {
  reply.Array(4);
  if (read.found) {
    reply.Bulk(read.found->entry.value);
    reply.Integer(static_cast<std::int64_t>(read.found->version.revision));
  } else {
    reply.Null();
    reply.Null();
  }
  ReplyAge(reply, read.age);
  reply.Bulk(read.remote ? "control-plane" : "cache");
}

void ReplyRead(Session& session, RespWriter& reply, const KeyRead& read) {
  if (session.need().meta) return ReplyWithMeta(reply, read);
  if (!read.found) return reply.Null();
  reply.Bulk(read.found->entry.value);
}

void ReplyField(RespWriter& reply, std::string_view name, std::string_view value) {
  reply.Bulk(name);
  reply.Bulk(value);
}

void ReplyField(RespWriter& reply, std::string_view name, std::uint64_t value) {
  reply.Bulk(name);
  reply.Integer(static_cast<std::int64_t>(value));
}

void ReplyStatus(Session& session, RespWriter& reply, const CopyStatus& copy) {
  reply.Map(12);
  ReplyField(reply, "dataset", copy.collection.dataset);
  ReplyField(reply, "prefix", copy.collection.prefix);
  ReplyField(reply, "mode", common::ModeName(copy.mode));
  ReplyField(reply, "state", PhaseName(copy.phase));
  ReplyField(reply, "epoch", common::FormatEpoch(copy.cursor.epoch));
  ReplyField(reply, "revision", copy.cursor.revision);
  ReplyField(reply, "head", copy.head);
  reply.Bulk("age_ms");
  ReplyAge(reply, AgeOf(copy, session.services().clock.Now()));
  ReplyField(reply, "entries", copy.entries);
  ReplyField(reply, "bytes", copy.bytes);
  ReplyField(reply, "digest", copy.digest);
  ReplyField(reply, "verified_at", static_cast<std::uint64_t>(copy.verified_at_ms));
}

// Notes what is lacking, if anything; the error reply, if waiting is of no use.
std::optional<std::string> WaitForCopy(Session& session, const Reader& reader,
                                       const CopyStatus& copy, const Token& token) {
  const common::Collection& collection = copy.collection;
  if (copy.mode == common::Mode::kOnDemand) {
    return fmt::format(
        "ERR dataset {} is carried on demand, key by key; use TRIB.GET with MINREV instead",
        collection.dataset);
  }
  const Coverage coverage = reader.CoverageOf(collection.dataset, collection.prefix);
  if (coverage == Coverage::kNoDataset || coverage == Coverage::kNoPermission) {
    return CoverageError(coverage, collection.dataset, {}, session.services().identity.service);
  }
  const auto cursor = reader.ReachOf(collection.dataset, collection.prefix);
  const Reach reach = cursor ? ReachOf(*cursor, token) : Reach::kNotYet;
  if (reach == Reach::kOtherEpoch) return EpochError(token, collection.dataset, cursor->epoch);
  if (reach == Reach::kNotYet) {
    session.lacks().targets.push_back({.dataset = collection.dataset,
                                       .key = collection.prefix,
                                       .token = token,
                                       .until_readable = true});
  }
  return std::nullopt;
}

}  // namespace

void TribGet(Session& session, Args args) {
  if (const auto error = TakeOptions(session, args)) return session.reply().Error(*error);
  if (args.size() != 2) return session.reply().Error(kSyntaxError);
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  RespWriter reply = session.reply();
  const KeyRead read = ReadKey(session, *reader, args[1]);
  if (!read.error.empty()) return reply.Error(read.error);
  ReplyRead(session, reply, read);
}

void TribMGet(Session& session, Args args) {
  if (const auto error = TakeOptions(session, args)) return session.reply().Error(*error);
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  RespWriter reply = session.reply();
  const std::size_t begin = reply.out().size();
  reply.Array(args.size() - 1);
  for (const std::string_view key : args.subspan(1)) {
    KeyRead read = ReadKey(session, *reader, key, /*name_key=*/true);
    if (read.error.empty() && reply.out().size() - begin > session.services().output.max / 2) {
      read.error = "TOOBIG reply is too long; ask for fewer keys";
    }
    if (!read.error.empty()) {
      reply.out().resize(begin);
      return reply.Error(read.error);
    }
    ReplyRead(session, reply, read);
  }
}

void TribStatus(Session& session, Args args) {
  RespWriter reply = session.reply();
  if (args.size() > 2)
    return reply.Error("ERR wrong number of arguments for 'trib.status' command");
  const auto status = session.services().status.Get();
  std::vector<const CopyStatus*> copies;
  for (const CopyStatus& copy : status->copies) {
    if (args.size() == 1 || copy.collection.dataset == args[1]) copies.push_back(&copy);
  }
  if (args.size() == 2 && copies.empty()) {
    return reply.Error(
        CoverageError(Coverage::kNotSubscribed, args[1], {}, session.services().identity.service));
  }
  reply.Array(copies.size());
  for (const CopyStatus* copy : copies) ReplyStatus(session, reply, *copy);
}

void TribLastRev(Session& session, Args) {
  if (!session.last_write()) return session.reply().Null();
  session.reply().Bulk(common::FormatVersion(*session.last_write()));
}

void TribConsistency(Session& session, Args args) {
  if (const auto error = ParseConsistency(args.subspan(1), session.default_need())) {
    return session.reply().Error(*error);
  }
  session.reply().Ok();
  session.CheckKept();  // with the reply: what was kept may not do for the new consistency
}

// A key stands for each copy that covers it, so the prefix stands for its copy.
void TribWait(Session& session, Args args) {
  Token token;
  std::chrono::milliseconds timeout{0};
  auto error = ParseTokenArgument("rev", args[2], token);
  if (!error) {
    error = ParseMillis("timeout", args[3], std::chrono::milliseconds(0), common::kReadTimeoutMax,
                        timeout);
  }
  if (error) return session.reply().Error(*error);
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  bool known = false;
  for (const CopyStatus& copy : session.services().snapshot.status().copies) {
    if (copy.collection.dataset != args[1]) continue;
    known = true;
    if (copy.mode == common::Mode::kReadThrough) continue;  // shows everything at any time
    if (error = WaitForCopy(session, *reader, copy, token); error) break;
  }
  session.lacks().timeout = timeout;
  if (!known) {
    error =
        CoverageError(Coverage::kNotSubscribed, args[1], {}, session.services().identity.service);
  }
  if (!error) return session.reply().Ok();
  session.lacks() = {};
  session.reply().Error(*error);
}

}  // namespace agent::commands
