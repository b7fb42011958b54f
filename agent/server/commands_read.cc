#include <algorithm>
#include <cstdint>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/prefetched_keys.h"
#include "agent/server/session.h"

namespace agent::commands {
namespace {

// Reads the one key of a command. With an error, that has been replied.
KeyRead ReadOne(Session& session, std::string_view key) {
  const Reader* reader = session.Read();
  KeyRead read =
      reader == nullptr ? KeyRead{.error = "no snapshot"} : ReadKey(session, *reader, key);
  if (reader != nullptr && !read.error.empty()) session.reply().Error(read.error);
  return read;
}

void ReplyTimeToLive(Session& session, std::string_view key, std::int64_t unit_ms) {
  const KeyRead read = ReadOne(session, key);
  if (!read.error.empty()) return;
  if (!read.found) return session.reply().Integer(-2);
  if (read.found->entry.expires_at_ms == 0) return session.reply().Integer(-1);
  const std::int64_t left = read.found->entry.expires_at_ms - session.now_ms();
  session.reply().Integer((std::max<std::int64_t>(left, 0) + unit_ms / 2) / unit_ms);
}

void ReplyExpireTime(Session& session, std::string_view key, std::int64_t unit_ms) {
  const KeyRead read = ReadOne(session, key);
  if (!read.error.empty()) return;
  if (!read.found) return session.reply().Integer(-2);
  const std::int64_t at_ms = read.found->entry.expires_at_ms;
  session.reply().Integer(at_ms == 0 ? -1 : (at_ms + unit_ms / 2) / unit_ms);
}

}  // namespace

void Get(Session& session, Args args) {
  const KeyRead read = ReadOne(session, args[1]);
  if (!read.error.empty()) return;
  if (!read.found) return session.reply().Null();
  session.reply().Bulk(read.found->entry.value);
}

// One unreadable key fails the command: a nil in its place would say that it does not exist.
void MGet(Session& session, Args args) {
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  RespWriter reply = session.reply();
  const std::size_t begin = reply.out().size();
  reply.Array(args.size() - 1);
  PrefetchedKeys prefetched;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const std::size_t ahead = (i - 1) % kPrefetchedKeysMax;
    if (ahead == 0) prefetched.Fetch(*reader, args.subspan(i));
    const std::optional<Found> found = ReadAtOnce(session, *reader, prefetched[ahead]);
    KeyRead read =
        found ? KeyRead{.found = found} : ReadKey(session, *reader, args[i], /*name_key=*/true);
    const std::size_t size = reply.out().size() - begin;
    if (read.error.empty() && size > session.services().output.max / 2) {
      read.error = fmt::format("TOOBIG reply of more than {} bytes; ask for fewer keys", size);
    }
    if (!read.error.empty()) {
      reply.out().resize(begin);
      return reply.Error(read.error);
    }
    if (read.found) {
      reply.Bulk(read.found->entry.value);
    } else {
      reply.Null();
    }
  }
}

void Exists(Session& session, Args args) {
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  std::int64_t count = 0;
  for (const std::string_view key : args.subspan(1)) {
    const KeyRead read = ReadKey(session, *reader, key, /*name_key=*/args.size() > 2);
    if (!read.error.empty()) return session.reply().Error(read.error);
    if (read.found) ++count;
  }
  session.reply().Integer(count);
}

void StrLen(Session& session, Args args) {
  const KeyRead read = ReadOne(session, args[1]);
  if (!read.error.empty()) return;
  session.reply().Integer(read.found ? static_cast<std::int64_t>(read.found->entry.value.size())
                                     : 0);
}

void GetRange(Session& session, Args args) {
  const auto first = ParseInteger(args[2]);
  const auto last = ParseInteger(args[3]);
  if (!first || !last) return session.reply().Error(kNotAnIntegerError);
  const KeyRead read = ReadOne(session, args[1]);
  if (!read.error.empty()) return;
  const std::string_view value = read.found ? read.found->entry.value : std::string_view();
  const auto size = static_cast<std::int64_t>(value.size());
  // Negative positions count from the end.
  std::int64_t begin = *first < 0 ? std::max<std::int64_t>(*first, -size) + size : *first;
  std::int64_t end = *last < 0 ? std::max<std::int64_t>(*last, -size) + size : *last;
  end = std::min(end, size - 1);
  const bool reversed = *first < 0 && *last < 0 && *first > *last;
  if (reversed || begin > end || size == 0) return session.reply().Bulk({});
  session.reply().Bulk(
      value.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin + 1)));
}

void Type(Session& session, Args args) {
  const KeyRead read = ReadOne(session, args[1]);
  if (!read.error.empty()) return;
  session.reply().Simple(read.found ? "string" : "none");
}

void Ttl(Session& session, Args args) { ReplyTimeToLive(session, args[1], 1000); }
void PTtl(Session& session, Args args) { ReplyTimeToLive(session, args[1], 1); }
void ExpireTime(Session& session, Args args) { ReplyExpireTime(session, args[1], 1000); }
void PExpireTime(Session& session, Args args) { ReplyExpireTime(session, args[1], 1); }

}  // namespace agent::commands
