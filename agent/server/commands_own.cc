#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"

namespace agent::commands {
namespace {

constexpr std::string_view kLater[] = {"MAXSTALE", "MINREV", "STRONG", "TIMEOUT"};

// How long ago the copy was proven fresh; absent: never proven.
std::optional<std::int64_t> AgeMillis(const CopyStatus& copy, const common::Clock& clock) {
  if (!copy.proven_at) return std::nullopt;
  const auto age = std::chrono::duration_cast<common::Millis>(clock.Now() - *copy.proven_at);
  return std::max<std::int64_t>(age.count(), 0);
}

void ReplyAge(RespWriter& reply, const std::optional<std::int64_t>& age) {
  if (age) {
    reply.Integer(*age);
  } else {
    reply.Null();
  }
}

// Strips the options behind the keys; keys have a '/', options do not.
std::optional<std::string> TakeOptions(Args& args, std::size_t keys_min, bool& with_meta) {
  std::size_t keys = 1;
  while (keys < args.size() && args[keys].find('/') != std::string_view::npos) ++keys;
  keys = std::max(keys, keys_min + 1);
  for (const std::string_view option : args.subspan(std::min(keys, args.size()))) {
    if (EqualsIgnoringCase(option, "WITHMETA")) {
      with_meta = true;
      continue;
    }
    for (const std::string_view later : kLater) {
      if (EqualsIgnoringCase(option, later)) {
        return NotYetError(fmt::format("option {} of {}", later, args[0]));
      }
    }
    return std::string(kSyntaxError);
  }
  args = args.first(std::min(keys, args.size()));
  return std::nullopt;
}

// [value, revision, age_ms, source]; what is not there or not known is null.
void ReplyWithMeta(Session& session, RespWriter& reply, std::string_view client_key,
                   const std::optional<Found>& found) {
  std::string ignored;
  const auto ref = SplitKey(client_key, ignored);
  std::optional<std::int64_t> age;
  const auto status = session.services().status.Get();
  for (const CopyStatus& copy : status->copies) {
    if (copy.collection.dataset == ref->dataset && copy.collection.Covers(ref->key)) {
      age = AgeMillis(copy, session.services().clock);
    }
  }
  reply.Array(4);
  if (found) {
    reply.Bulk(found->entry.value);
    reply.Integer(static_cast<std::int64_t>(found->version.revision));
  } else {
    reply.Null();
    reply.Null();
  }
  ReplyAge(reply, age);
  reply.Bulk("cache");
}

void ReplyRead(Session& session, RespWriter& reply, std::string_view key,
               const std::optional<Found>& found, bool with_meta) {
  if (with_meta) return ReplyWithMeta(session, reply, key, found);
  if (!found) return reply.Null();
  reply.Bulk(found->entry.value);
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
  ReplyAge(reply, AgeMillis(copy, session.services().clock));
  ReplyField(reply, "entries", copy.entries);
  ReplyField(reply, "bytes", copy.bytes);
  ReplyField(reply, "digest", copy.digest);
  ReplyField(reply, "verified_at", static_cast<std::uint64_t>(copy.verified_at_ms));
}

}  // namespace

void TribGet(Session& session, Args args) {
  bool with_meta = false;
  if (const auto error = TakeOptions(args, 1, with_meta)) return session.reply().Error(*error);
  if (args.size() != 2) return session.reply().Error(kSyntaxError);
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  RespWriter reply = session.reply();
  const KeyRead read = ReadKey(session, *reader, args[1]);
  if (!read.error.empty()) return reply.Error(read.error);
  ReplyRead(session, reply, args[1], read.found, with_meta);
}

void TribMGet(Session& session, Args args) {
  bool with_meta = false;
  if (const auto error = TakeOptions(args, 1, with_meta)) return session.reply().Error(*error);
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
    ReplyRead(session, reply, key, read.found, with_meta);
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

void TribConsistency(Session& session, Args) {
  session.reply().Error(NotYetError("TRIB.CONSISTENCY"));
}

void TribWait(Session& session, Args) { session.reply().Error(NotYetError("TRIB.WAIT")); }

}  // namespace agent::commands
