#include <fmt/format.h>

#include <string>
#include <vector>

#include "agent/server/commands.h"
#include "agent/server/session.h"
#include "common/limits.h"

namespace agent::commands {
namespace {

// Only these are ever published; a subscription to any other would wait for ever.
bool IsPublished(std::string_view channel) {
  if (channel == kInvalidateChannel) return true;
  if (channel.starts_with(kKeyspaceChannel)) {
    return channel.find('/', kKeyspaceChannel.size()) != std::string_view::npos;
  }
  if (!channel.starts_with(kKeyeventChannel)) return false;
  const std::string_view event = channel.substr(kKeyeventChannel.size());
  return event == "set" || event == "del" || event == "replaced";
}

void Confirm(Session& session, std::string_view what, const std::string* name) {
  RespWriter reply = session.reply();
  reply.Push(3);
  reply.Bulk(what);
  if (name != nullptr) {
    reply.Bulk(*name);
  } else {
    reply.Null();
  }
  reply.Integer(static_cast<std::int64_t>(session.subscriptions()));
}

bool HasRoom(Session& session) {
  if (session.subscriptions() < common::kSubscriptionsPerClientMax) return true;
  session.reply().Error(fmt::format("ERR more than {} subscriptions of one client",
                                    common::kSubscriptionsPerClientMax));
  return false;
}

}  // namespace

void Subscribe(Session& session, Args args) {
  for (const std::string_view arg : args.subspan(1)) {
    const std::string channel(arg);
    if (!IsPublished(channel)) {
      session.reply().Error(
          fmt::format("ERR nothing is published to channel '{}'; there are "
                      "__keyspace@0__:<dataset>/<key> and __keyevent@0__:set|del",
                      channel));
      continue;
    }
    if (!HasRoom(session)) return;
    session.channels().insert(channel);
    session.services().subscriptions.Add(channel, session);
    Confirm(session, "subscribe", &channel);
  }
}

void PSubscribe(Session& session, Args args) {
  for (const std::string_view arg : args.subspan(1)) {
    if (!HasRoom(session)) return;
    const std::string pattern(arg);
    session.patterns().insert(pattern);
    session.services().subscriptions.AddPattern(pattern, session);
    Confirm(session, "psubscribe", &pattern);
  }
}

void Unsubscribe(Session& session, Args args) {
  const std::vector<std::string> names =
      args.size() > 1
          ? std::vector<std::string>(args.begin() + 1, args.end())
          : std::vector<std::string>(session.channels().begin(), session.channels().end());
  for (const std::string& channel : names) {
    session.channels().erase(channel);
    session.services().subscriptions.Remove(channel, session);
    Confirm(session, "unsubscribe", &channel);
  }
  if (names.empty()) Confirm(session, "unsubscribe", nullptr);
}

void PUnsubscribe(Session& session, Args args) {
  const std::vector<std::string> names =
      args.size() > 1
          ? std::vector<std::string>(args.begin() + 1, args.end())
          : std::vector<std::string>(session.patterns().begin(), session.patterns().end());
  for (const std::string& pattern : names) {
    session.patterns().erase(pattern);
    session.services().subscriptions.RemovePattern(pattern, session);
    Confirm(session, "punsubscribe", &pattern);
  }
  if (names.empty()) Confirm(session, "punsubscribe", nullptr);
}

}  // namespace agent::commands
