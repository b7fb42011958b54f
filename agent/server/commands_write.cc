#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"
#include "agent/server/set_options.h"
#include "common/limits.h"
#include "common/read_limits.h"

namespace agent::commands {
namespace {

// Appends one write after checking what can be checked here; ownership and a dataset's own value
// limit are the control plane's to judge.
std::optional<std::string> AddWrite(std::string_view client_key,
                                    std::optional<std::string_view> value, WriteRequest& request,
                                    const SetOptions& options = {}) {
  std::string error;
  const auto ref = SplitKey(client_key, error);
  if (!ref) return error;
  SocketWrite write{.dataset = std::string(ref->dataset),
                    .key = std::string(ref->key),
                    .value = {},
                    .options = options};
  if (value) {
    if (value->size() > common::kValueBytesMax) {
      return fmt::format("TOOBIG value of {} bytes; at most {}", value->size(),
                         common::kValueBytesMax);
    }
    write.value.emplace(*value);
  }
  request.writes.push_back(std::move(write));
  return std::nullopt;
}

std::optional<std::string> ParseSetWithTime(Args args, std::int64_t unit_ms,
                                            std::string_view command, WriteRequest& request) {
  SetOptions options;
  if (auto error = ParseTimeToLive(args[2], unit_ms, command, options)) return error;
  return AddWrite(args[1], args[3], request, options);
}

// An owner need not have a copy of its dataset to make its writes depend on what is there: the
// control plane tells.
KeyRead ReadWatched(Session& session, const Reader& reader, std::string_view client_key,
                    bool name_key) {
  std::string error;
  const auto ref = SplitKey(client_key, error);
  const bool told = session.Got(client_key) != nullptr;
  const auto& status = session.services().snapshot.status();
  if (ref && !told && status.wanted_known && status.Covering(ref->dataset, ref->key) == nullptr &&
      reader.CoverageOf(ref->dataset, ref->key) == Coverage::kNotSubscribed) {
    return Lacking(session, ReadQuestion::Kind::kStrong, *ref);
  }
  return ReadKey(session, reader, client_key, name_key);
}

// As of when the key is absent, by whoever has said so. Asks the control plane if that is not
// known.
common::Version AbsentSince(Session& session, const Reader& reader, std::string_view client_key) {
  std::string error;
  const auto ref = SplitKey(client_key, error);
  const RemoteRead* told = session.Got(client_key);
  const common::Version since =
      told != nullptr ? told->entry.version
                      : reader.ReachOf(ref->dataset, ref->key).value_or(common::Version{});
  if (since.epoch == 0) Lacking(session, ReadQuestion::Kind::kStrong, *ref);
  return since;
}

SeenKey SeeWatched(Session& session, const Reader& reader, std::string_view client_key,
                   const KeyRead& read) {
  if (read.found) return {.version = read.found->version};
  if (session.lacks().any()) return {};
  return {.absent_since = AbsentSince(session, reader, client_key)};
}

}  // namespace

std::optional<std::string> ParseSet(Args args, WriteRequest& request) {
  SetOptions options;
  if (auto error = ParseSetOptions(args.subspan(3), options)) return error;
  if (options.get) {
    request.reply = WriteReply::kOld;
  } else if (options.condition != SetOptions::Condition::kAlways) {
    request.reply = WriteReply::kOkOrNil;
  }
  return AddWrite(args[1], args[2], request, options);
}

std::optional<std::string> ParseSetNx(Args args, WriteRequest& request) {
  request.reply = WriteReply::kWritten;
  return AddWrite(args[1], args[2], request, {.condition = SetOptions::Condition::kIfAbsent});
}

std::optional<std::string> ParseSetEx(Args args, WriteRequest& request) {
  return ParseSetWithTime(args, 1000, "setex", request);
}

std::optional<std::string> ParsePSetEx(Args args, WriteRequest& request) {
  return ParseSetWithTime(args, 1, "psetex", request);
}

std::optional<std::string> ParseGetSet(Args args, WriteRequest& request) {
  request.reply = WriteReply::kOld;
  return AddWrite(args[1], args[2], request, {.get = true});
}

std::optional<std::string> ParseGetDel(Args args, WriteRequest& request) {
  request.reply = WriteReply::kOld;
  return AddWrite(args[1], std::nullopt, request, {.get = true});
}

std::optional<std::string> ParseMSet(Args args, WriteRequest& request) {
  if (args.size() % 2 == 0) return "ERR wrong number of arguments for 'mset' command";
  for (std::size_t i = 1; i < args.size(); i += 2) {
    if (auto error = AddWrite(args[i], args[i + 1], request)) return error;
  }
  return std::nullopt;
}

std::optional<std::string> ParseDel(Args args, WriteRequest& request) {
  request.reply = WriteReply::kDeleted;
  for (const std::string_view key : args.subspan(1)) {
    if (auto error = AddWrite(key, std::nullopt, request)) return error;
  }
  return std::nullopt;
}

void Multi(Session& session, Args) {
  if (session.transaction()) return session.reply().Error("ERR MULTI calls can not be nested");
  session.transaction().emplace();
  session.reply().Ok();
}

void Exec(Session& session, Args) {
  if (!session.transaction()) return session.reply().Error("ERR EXEC without MULTI");
  session.Execute();
}

void Discard(Session& session, Args) {
  if (!session.transaction()) return session.reply().Error("ERR DISCARD without MULTI");
  session.transaction().reset();
  session.Unwatch();
  session.reply().Ok();
}

void Watch(Session& session, Args args) {
  if (session.transaction()) return session.reply().Error("ERR WATCH inside MULTI is not allowed");
  const std::size_t count = session.watches().keys.size() + args.size() - 1;
  if (count > common::kWatchedKeysMax) {
    return session.reply().Error(fmt::format("TOOBIG {} watched keys; at most {} are allowed",
                                             count, common::kWatchedKeysMax));
  }
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  std::vector<SeenKey> seen;
  for (const std::string_view key : args.subspan(1)) {
    const KeyRead read = ReadWatched(session, *reader, key, /*name_key=*/args.size() > 2);
    if (!read.error.empty()) return session.reply().Error(read.error);
    seen.push_back(SeeWatched(session, *reader, key, read));
  }
  if (session.lacks().any()) return;  // runs again
  for (std::size_t i = 0; i < seen.size(); ++i) session.Watch(args[i + 1], seen[i]);
  session.reply().Ok();
}

void Unwatch(Session& session, Args) {
  session.Unwatch();
  session.reply().Ok();
}

}  // namespace agent::commands
