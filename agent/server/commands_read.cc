#include <algorithm>
#include <cstdint>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/session.h"

namespace agent::commands {
namespace {

// Reads the one key of a command; false after having replied with an error.
bool ReadOne(Session& session, std::string_view key, std::optional<Found>& found) {
  const Reader* reader = session.Read();
  if (reader == nullptr) return false;
  KeyRead read = ReadKey(session, *reader, key);
  if (!read.error.empty()) {
    session.reply().Error(read.error);
    return false;
  }
  found = read.found;
  return true;
}

void ReplyTimeToLive(Session& session, std::string_view key, std::int64_t unit_ms) {
  std::optional<Found> found;
  if (!ReadOne(session, key, found)) return;
  if (!found) return session.reply().Integer(-2);
  if (found->entry.expires_at_ms == 0) return session.reply().Integer(-1);
  const std::int64_t left = found->entry.expires_at_ms - session.now_ms();
  session.reply().Integer((std::max<std::int64_t>(left, 0) + unit_ms / 2) / unit_ms);
}

void ReplyExpireTime(Session& session, std::string_view key, std::int64_t unit_ms) {
  std::optional<Found> found;
  if (!ReadOne(session, key, found)) return;
  if (!found) return session.reply().Integer(-2);
  const std::int64_t at_ms = found->entry.expires_at_ms;
  session.reply().Integer(at_ms == 0 ? -1 : (at_ms + unit_ms / 2) / unit_ms);
}

}  // namespace

void Get(Session& session, Args args) {
  std::optional<Found> found;
  if (!ReadOne(session, args[1], found)) return;
  if (!found) return session.reply().Null();
  session.reply().Bulk(found->entry.value);
}

// One unreadable key fails the command: a nil in its place would say that it does not exist.
void MGet(Session& session, Args args) {
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  RespWriter reply = session.reply();
  const std::size_t begin = reply.out().size();
  reply.Array(args.size() - 1);
  for (std::size_t i = 1; i < args.size(); ++i) {
    if (i % kPrefetchedKeysMax == 1) PrefetchKeys(*reader, args.subspan(i));
    KeyRead read = ReadKey(session, *reader, args[i], /*name_key=*/true);
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
  std::optional<Found> found;
  if (!ReadOne(session, args[1], found)) return;
  session.reply().Integer(found ? static_cast<std::int64_t>(found->entry.value.size()) : 0);
}

void GetRange(Session& session, Args args) {
  const auto first = ParseInteger(args[2]);
  const auto last = ParseInteger(args[3]);
  if (!first || !last) return session.reply().Error(kNotAnIntegerError);
  std::optional<Found> found;
  if (!ReadOne(session, args[1], found)) return;
  const std::string_view value = found ? found->entry.value : std::string_view();
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
  std::optional<Found> found;
  if (!ReadOne(session, args[1], found)) return;
  session.reply().Simple(found ? "string" : "none");
}

void Ttl(Session& session, Args args) { ReplyTimeToLive(session, args[1], 1000); }
void PTtl(Session& session, Args args) { ReplyTimeToLive(session, args[1], 1); }
void ExpireTime(Session& session, Args args) { ReplyExpireTime(session, args[1], 1000); }
void PExpireTime(Session& session, Args args) { ReplyExpireTime(session, args[1], 1); }

}  // namespace agent::commands
