#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"
#include "common/limits.h"

namespace agent::commands {
namespace {

constexpr std::array<std::string_view, 8> kSetOptions = {"NX", "XX",   "GET",  "EX",
                                                         "PX", "EXAT", "PXAT", "KEEPTTL"};

// Appends one write after checking what can be checked here; ownership and a dataset's own value
// limit are the control plane's to judge.
std::optional<std::string> AddWrite(std::string_view client_key,
                                    std::optional<std::string_view> value, WriteRequest& request) {
  std::string error;
  const auto ref = SplitKey(client_key, error);
  if (!ref) return error;
  SocketWrite write{
      .dataset = std::string(ref->dataset), .key = std::string(ref->key), .value = {}};
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

}  // namespace

std::optional<std::string> ParseSet(Args args, WriteRequest& request) {
  for (const std::string_view option : args.subspan(3)) {
    const auto known = std::find_if(kSetOptions.begin(), kSetOptions.end(),
                                    [&](auto name) { return EqualsIgnoringCase(option, name); });
    if (known == kSetOptions.end()) return std::string(kSyntaxError);
    return NotYetError(fmt::format("option {} of SET", *known));
  }
  return AddWrite(args[1], args[2], request);
}

std::optional<std::string> ParseMSet(Args args, WriteRequest& request) {
  if (args.size() % 2 == 0) return "ERR wrong number of arguments for 'mset' command";
  for (std::size_t i = 1; i < args.size(); i += 2) {
    if (auto error = AddWrite(args[i], args[i + 1], request)) return error;
  }
  return std::nullopt;
}

std::optional<std::string> ParseDel(Args args, WriteRequest& request) {
  request.counts_deleted = true;
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
  session.reply().Ok();
}

void Watch(Session& session, Args args) {
  session.reply().Error(NotYetError(EqualsIgnoringCase(args[0], "WATCH") ? "WATCH" : "UNWATCH"));
}

}  // namespace agent::commands
