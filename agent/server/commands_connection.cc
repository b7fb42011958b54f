#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"

namespace agent::commands {
namespace {

constexpr std::string_view kNoPassword =
    "ERR AUTH <password> called without any password configured for the default user. Are you "
    "sure your configuration is correct? (Access is governed by the socket file's mode.)";
constexpr std::size_t kNameBytesMax = 256;

// What may stand in a name: CLIENT LIST separates by spaces and newlines.
bool IsPlainWord(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::optional<std::string> NameError(std::string_view what, std::string_view name) {
  if (name.size() > kNameBytesMax) {
    return fmt::format("ERR {} is longer than {} bytes", what, kNameBytesMax);
  }
  if (IsPlainWord(name)) return std::nullopt;
  return fmt::format("ERR {} cannot contain spaces, newlines or special characters.", what);
}

struct HelloOptions {
  RespVersion resp;
  std::optional<std::string_view> name = {};
};

std::optional<std::string> ParseHello(Args args, HelloOptions& options) {
  if (args.size() == 1) return std::nullopt;
  const auto version = ParseInteger(args[1]);
  if (!version) return "ERR Protocol version is not an integer or out of range";
  if (*version != 2 && *version != 3) return "NOPROTO unsupported protocol version";
  options.resp = *version == 2 ? RespVersion::k2 : RespVersion::k3;
  for (std::size_t i = 2; i < args.size();) {
    const std::size_t left = args.size() - i;
    if (EqualsIgnoringCase(args[i], "AUTH") && left >= 3) return std::string(kNoPassword);
    if (!EqualsIgnoringCase(args[i], "SETNAME") || left < 2) {
      return fmt::format("ERR Syntax error in HELLO option '{}'", args[i]);
    }
    options.name = args[i + 1];
    if (auto error = NameError("Client name", *options.name)) return error;
    i += 2;
  }
  return std::nullopt;
}

std::string FlagsOf(Session& session) {
  std::string flags;
  if (session.subscriptions() > 0) flags.push_back('P');
  if (session.transaction()) flags.push_back('x');
  flags.push_back('U');  // connected by a Unix socket
  return flags;
}

std::string DescribeClient(Session& session) {
  const Client& client = session.client();
  const Services& services = session.services();
  const auto seconds = [&](common::MonotonicTime since) {
    return std::chrono::duration_cast<std::chrono::seconds>(services.clock.Now() - since).count();
  };
  const auto queued = session.transaction()
                          ? static_cast<std::int64_t>(session.transaction()->commands.size())
                          : -1;
  return fmt::format(
      "id={} addr={}:0 laddr={}:0 fd=-1 name={} age={} idle={} flags={} db=0 sub={} psub={} ssub=0 "
      "multi={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={} oll=0 omem=0 "
      "tot-mem=0 events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
      client.id, services.identity.socket, services.identity.socket, client.name,
      seconds(client.since), seconds(client.last_used), FlagsOf(session), session.channels().size(),
      session.patterns().size(), queued, session.kept_bytes(), session.output().size(),
      LowerCase(client.last_command), static_cast<int>(client.resp), client.library_name,
      client.library_version);
}

// What CLIENT LIST asks for.
struct ClientFilter {
  bool none = false;  // of a type of which there are none
  std::optional<bool> pubsub = {};
  std::vector<std::uint64_t> ids = {};  // empty: all

  bool Takes(Session& session) const {
    const std::uint64_t id = session.client().id;
    if (!ids.empty() && std::find(ids.begin(), ids.end(), id) == ids.end()) return false;
    return !none && (!pubsub || *pubsub == (session.subscriptions() > 0));
  }
};

std::optional<std::string> ParseFilter(Args args, ClientFilter& filter) {
  if (args.size() == 2) return std::nullopt;
  if (args.size() == 4 && EqualsIgnoringCase(args[2], "TYPE")) {
    filter.pubsub = EqualsIgnoringCase(args[3], "pubsub");
    if (*filter.pubsub || EqualsIgnoringCase(args[3], "normal")) return std::nullopt;
    filter.none = true;
    if (EqualsIgnoringCase(args[3], "master") || EqualsIgnoringCase(args[3], "replica")) {
      return std::nullopt;
    }
    return fmt::format("ERR Unknown client type '{}'", args[3]);
  }
  if (args.size() < 4 || !EqualsIgnoringCase(args[2], "ID")) return std::string(kSyntaxError);
  for (const std::string_view text : args.subspan(3)) {
    const auto id = ParseInteger(text);
    if (!id || *id < 1) return "ERR Invalid client ID";
    filter.ids.push_back(static_cast<std::uint64_t>(*id));
  }
  return std::nullopt;
}

}  // namespace

void Hello(Session& session, Args args) {
  HelloOptions options{.resp = session.client().resp};
  if (const auto error = ParseHello(args, options)) return session.reply().Error(*error);
  session.client().resp = options.resp;
  if (options.name) session.client().name = *options.name;
  RespWriter reply = session.reply();
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kCompatibleVersion);
  reply.Bulk("proto");
  reply.Integer(static_cast<int>(options.resp));
  reply.Bulk("id");
  reply.Integer(static_cast<std::int64_t>(session.client().id));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.Array(0);
}

void Ping(Session& session, Args args) {
  RespWriter reply = session.reply();
  if (args.size() > 2) {
    return reply.Error("ERR wrong number of arguments for 'ping' command");
  }
  if (session.subscriptions() > 0 && reply.version() == RespVersion::k2) {
    reply.Array(2);
    reply.Bulk("pong");
    return reply.Bulk(args.size() == 2 ? args[1] : std::string_view());
  }
  if (args.size() == 2) return reply.Bulk(args[1]);
  reply.Simple("PONG");
}

void Echo(Session& session, Args args) { session.reply().Bulk(args[1]); }

void Auth(Session& session, Args args) {
  session.reply().Error(args.size() > 3 ? kSyntaxError : kNoPassword);
}

void Select(Session& session, Args args) {
  const auto index = ParseInteger<int>(args[1]);
  if (!index) return session.reply().Error(kNotAnIntegerError);
  if (*index != 0) {
    return session.reply().Error("ERR DB index is out of range; there is only database 0");
  }
  session.reply().Ok();
}

void Quit(Session& session, Args) {
  session.reply().Ok();
  session.Quit();
}

void Reset(Session& session, Args) {
  session.Reset();
  session.reply().Simple("RESET");
}

void ClientId(Session& session, Args) {
  session.reply().Integer(static_cast<std::int64_t>(session.client().id));
}

void ClientSetName(Session& session, Args args) {
  if (const auto error = NameError("Client names", args[2])) return session.reply().Error(*error);
  session.client().name = args[2];
  session.reply().Ok();
}

void ClientGetName(Session& session, Args) {
  if (session.client().name.empty()) return session.reply().Null();
  session.reply().Bulk(session.client().name);
}

void ClientSetInfo(Session& session, Args args) {
  const bool name = EqualsIgnoringCase(args[2], "LIB-NAME");
  if (!name && !EqualsIgnoringCase(args[2], "LIB-VER")) {
    return session.reply().Error(fmt::format("ERR Unrecognized option '{}'", args[2]));
  }
  if (const auto error = NameError(name ? "lib-name" : "lib-ver", args[3])) {
    return session.reply().Error(*error);
  }
  (name ? session.client().library_name : session.client().library_version) = args[3];
  session.reply().Ok();
}

void ClientInfo(Session& session, Args) {
  session.reply().Verbatim(DescribeClient(session) + "\n");
}

void ClientList(Session& session, Args args) {
  ClientFilter filter;
  if (const auto error = ParseFilter(args, filter)) return session.reply().Error(*error);
  session.ListClients([filter](const Services& services) {
    ClientLines lines;
    for (const auto& [id, other] : services.sessions) {
      if (filter.Takes(*other)) lines.emplace(id, DescribeClient(*other) + "\n");
    }
    return lines;
  });
}

void ClientNoEvict(Session& session, Args args) {
  if (!EqualsIgnoringCase(args[2], "ON") && !EqualsIgnoringCase(args[2], "OFF")) {
    return session.reply().Error(kSyntaxError);
  }
  session.reply().Ok();
}

}  // namespace agent::commands
