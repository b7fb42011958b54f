// The handlers of all commands, by theme. What each does is said in command_table.cc.
//
// Thread: the loop.  Lifetime: functions; all state is in the Session and its Services.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/server/command_table.h"

namespace agent::commands {

// Of Redis, whose commands these are.
inline constexpr std::string_view kCompatibleVersion = "7.0.15";

// commands_read.cc
void Get(Session& session, Args args);
void MGet(Session& session, Args args);
void Exists(Session& session, Args args);
void StrLen(Session& session, Args args);
void GetRange(Session& session, Args args);
void Type(Session& session, Args args);
void Ttl(Session& session, Args args);
void PTtl(Session& session, Args args);
void ExpireTime(Session& session, Args args);
void PExpireTime(Session& session, Args args);

// commands_scan.cc
void Scan(Session& session, Args args);
void Keys(Session& session, Args args);
void DbSize(Session& session, Args args);
void RandomKey(Session& session, Args args);

// commands_write.cc
std::optional<std::string> ParseSet(Args args, WriteRequest& request);
std::optional<std::string> ParseMSet(Args args, WriteRequest& request);
std::optional<std::string> ParseSetNx(Args args, WriteRequest& request);
std::optional<std::string> ParseSetEx(Args args, WriteRequest& request);
std::optional<std::string> ParsePSetEx(Args args, WriteRequest& request);
std::optional<std::string> ParseGetSet(Args args, WriteRequest& request);
std::optional<std::string> ParseGetDel(Args args, WriteRequest& request);
std::optional<std::string> ParseDel(Args args, WriteRequest& request);
void Multi(Session& session, Args args);
void Exec(Session& session, Args args);
void Discard(Session& session, Args args);
void Watch(Session& session, Args args);
void Unwatch(Session& session, Args args);

// commands_connection.cc
void Hello(Session& session, Args args);
void Ping(Session& session, Args args);
void Echo(Session& session, Args args);
void Auth(Session& session, Args args);
void Select(Session& session, Args args);
void Quit(Session& session, Args args);
void Reset(Session& session, Args args);
void ClientId(Session& session, Args args);
void ClientSetName(Session& session, Args args);
void ClientGetName(Session& session, Args args);
void ClientSetInfo(Session& session, Args args);
void ClientInfo(Session& session, Args args);
void ClientList(Session& session, Args args);
void ClientNoEvict(Session& session, Args args);

// commands_tracking.cc
void ClientTracking(Session& session, Args args);
void ClientCaching(Session& session, Args args);
void ClientGetRedir(Session& session, Args args);
void ClientTrackingInfo(Session& session, Args args);

// commands_pubsub.cc
void Subscribe(Session& session, Args args);
void PSubscribe(Session& session, Args args);
void Unsubscribe(Session& session, Args args);
void PUnsubscribe(Session& session, Args args);

// commands_info.cc
void Command(Session& session, Args args);
void CommandCount(Session& session, Args args);
void CommandDocs(Session& session, Args args);
void CommandInfo(Session& session, Args args);
void CommandList(Session& session, Args args);
void CommandGetKeys(Session& session, Args args);
void ConfigGet(Session& session, Args args);
void Info(Session& session, Args args);
void Time(Session& session, Args args);

// commands_own.cc
void TribGet(Session& session, Args args);
void TribMGet(Session& session, Args args);
void TribStatus(Session& session, Args args);
void TribLastRev(Session& session, Args args);
void TribConsistency(Session& session, Args args);
void TribWait(Session& session, Args args);

}  // namespace agent::commands
