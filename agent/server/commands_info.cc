#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/key_access.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"
#include "common/names.h"

namespace agent::commands {
namespace {

bool IsSubcommand(const CommandSpec& spec) { return spec.name.find('|') != std::string_view::npos; }

std::vector<const CommandSpec*> SubcommandsOf(const CommandSpec& spec) {
  const std::string begin = fmt::format("{}|", spec.name);
  std::vector<const CommandSpec*> found;
  for (const CommandSpec& other : AllCommands()) {
    if (other.name.starts_with(begin)) found.push_back(&other);
  }
  return found;
}

std::vector<const CommandSpec*> TopCommands() {
  std::vector<const CommandSpec*> found;
  for (const CommandSpec& spec : AllCommands()) {
    if (!IsSubcommand(spec)) found.push_back(&spec);
  }
  return found;
}

// The ten fields of COMMAND INFO; ACL categories, tips and key specifications are left empty.
void ReplyInfo(RespWriter& reply, const CommandSpec& spec) {
  reply.Array(10);
  reply.Bulk(LowerCase(spec.name));
  reply.Integer(spec.arity);
  const auto flags = FlagNames(spec);
  reply.Set(flags.size());
  for (const std::string_view flag : flags) reply.Simple(flag);
  reply.Integer(spec.first_key);
  reply.Integer(spec.last_key);
  reply.Integer(spec.key_step);
  reply.Set(0);
  reply.Set(0);
  reply.Set(0);
  const auto subcommands = SubcommandsOf(spec);
  reply.Array(subcommands.size());
  for (const CommandSpec* subcommand : subcommands) ReplyInfo(reply, *subcommand);
}

void ReplyDocs(RespWriter& reply, const CommandSpec& spec) {
  const auto subcommands = SubcommandsOf(spec);
  reply.Bulk(LowerCase(spec.name));
  reply.Map(subcommands.empty() ? 3 : 4);
  reply.Bulk("summary");
  reply.Bulk(spec.summary);
  reply.Bulk("since");
  reply.Bulk("1.0.0");
  reply.Bulk("group");
  reply.Bulk(spec.group);
  if (subcommands.empty()) return;
  reply.Bulk("subcommands");
  reply.Map(subcommands.size());
  for (const CommandSpec* subcommand : subcommands) ReplyDocs(reply, *subcommand);
}

// Settings that libraries and tools look at before they work.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kSettings = {{
    {"appendonly", "no"},
    {"bind", ""},
    {"databases", "1"},
    {"io-threads", "{threads}"},
    {"lfu-decay-time", "1"},
    {"maxclients", "{clients_max}"},
    {"maxmemory", "0"},
    {"maxmemory-policy", "noeviction"},
    {"notify-keyspace-events", "KE$g"},
    {"port", "0"},
    {"proto-max-bulk-len", "{bulk_max}"},
    {"save", ""},
    {"timeout", "0"},
    {"unixsocket", "{socket}"},
}};

std::string SettingValue(const Services& services, std::string_view value) {
  if (value == "{clients_max}") return fmt::format("{}", services.identity.clients_max);
  if (value == "{bulk_max}") return fmt::format("{}", common::kRespBulkBytesMax);
  if (value == "{threads}") return fmt::format("{}", services.identity.threads);
  if (value == "{socket}") return services.identity.socket;
  return std::string(value);
}

std::uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string ServerSection(const Services& services) {
  utsname system{};
  uname(&system);
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(services.clock.Now() -
                                                                       services.identity.started);
  return fmt::format(
      "redis_version:{}\r\nredis_mode:standalone\r\ntributary_version:{}\r\nos:{} {} {}\r\n"
      "arch_bits:64\r\nprocess_id:{}\r\nrun_id:{}\r\ntcp_port:0\r\nuptime_in_seconds:{}\r\n"
      "uptime_in_days:{}\r\n",
      kCompatibleVersion, services.identity.version, system.sysname, system.release, system.machine,
      getpid(), services.identity.run_id, uptime.count(), uptime.count() / 86400);
}

std::string ClientsSection(const Services& services) {
  return fmt::format(
      "connected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:0\r\npubsub_clients:{}\r\n",
      services.shared.TotalStats()->clients_now.Get(), services.identity.clients_max,
      services.shared.subscribers());
}

std::string MemorySection(const Services& services) {
  const std::uint64_t resident = ResidentBytes();
  return fmt::format(
      "used_memory:{}\r\nused_memory_rss:{}\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"
      "tributary_cache_bytes:{}\r\n",
      resident, resident, services.cache_bytes ? services.cache_bytes() : 0);
}

std::string StatsSection(const Services& services) {
  const std::unique_ptr<ServerStats> total = services.shared.TotalStats();
  const ServerStats& stats = *total;
  std::array<std::uint64_t, kReadResultNames.size()> reads{};
  for (const CommandStats& command : stats.commands) {
    for (std::size_t i = 0; i < reads.size(); ++i) reads[i] += command.reads[i].Get();
  }
  return fmt::format(
      "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n"
      "total_net_input_bytes:{}\r\ntotal_net_output_bytes:{}\r\nrejected_connections:{}\r\n"
      "keyspace_hits:{}\r\nkeyspace_misses:{}\r\nclient_output_buffer_limit_disconnections:{}\r\n",
      stats.clients_total.Get(), stats.commands_total.Get(), stats.bytes_in.Get(),
      stats.bytes_out.Get(), stats.clients_refused.Get(),
      reads[static_cast<std::size_t>(ReadResult::kHit)],
      reads[static_cast<std::size_t>(ReadResult::kMiss)], stats.clients_over_output_limit.Get());
}

std::string TributarySection(const Services& services) {
  const auto status = services.status.Get();
  std::string out = fmt::format(
      "service:{}\r\ncontrol_plane:{}\r\nconnected:{}\r\nreconnects:{}\r\nnacks:{}\r\n"
      "digest_mismatches:{}\r\ncopies:{}\r\n",
      services.identity.service, status->control_plane, status->connected ? 1 : 0,
      status->reconnects, status->nacks, status->digest_mismatches, status->copies.size());
  for (std::size_t i = 0; i < status->copies.size(); ++i) {
    const CopyStatus& copy = status->copies[i];
    std::string age = "unknown";
    if (copy.proven_at) {
      age = fmt::format(
          "{}", std::chrono::duration_cast<common::Millis>(services.clock.Now() - *copy.proven_at)
                    .count());
    }
    out += fmt::format(
        "copy{}:dataset={},prefix={},state={},revision={},head={},age_ms={},"
        "entries={}\r\n",
        i, copy.collection.dataset, common::PercentEncode(copy.collection.prefix),
        PhaseName(copy.phase), copy.cursor.revision, copy.head, age, copy.entries);
  }
  return out;
}

std::string ReplicationSection(const Services&) {
  return "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n";
}

// Clients wait for this one to say "loading:0" before they send anything.
std::string PersistenceSection(const Services&) { return "loading:0\r\nasync_loading:0\r\n"; }

struct Section {
  std::string_view title;
  std::string (*text)(const Services& services);
};
constexpr std::array<Section, 7> kSections = {{{"Server", &ServerSection},
                                               {"Clients", &ClientsSection},
                                               {"Memory", &MemorySection},
                                               {"Persistence", &PersistenceSection},
                                               {"Stats", &StatsSection},
                                               {"Replication", &ReplicationSection},
                                               {"Tributary", &TributarySection}}};

bool WantsSection(Args args, std::string_view title) {
  if (args.size() == 1) return true;
  return std::any_of(args.begin() + 1, args.end(), [&](std::string_view name) {
    return EqualsIgnoringCase(name, title) || EqualsIgnoringCase(name, "default") ||
           EqualsIgnoringCase(name, "all") || EqualsIgnoringCase(name, "everything");
  });
}

}  // namespace

void Command(Session& session, Args) {
  RespWriter reply = session.reply();
  const auto commands = TopCommands();
  reply.Array(commands.size());
  for (const CommandSpec* spec : commands) ReplyInfo(reply, *spec);
}

void CommandCount(Session& session, Args) {
  session.reply().Integer(static_cast<std::int64_t>(TopCommands().size()));
}

void CommandDocs(Session& session, Args args) {
  std::vector<const CommandSpec*> wanted;
  if (args.size() == 2) wanted = TopCommands();
  for (const std::string_view name : args.subspan(2)) {
    if (const auto* spec = session.services().commands.FindByName(name)) wanted.push_back(spec);
  }
  RespWriter reply = session.reply();
  reply.Map(wanted.size());
  for (const CommandSpec* spec : wanted) ReplyDocs(reply, *spec);
}

void CommandInfo(Session& session, Args args) {
  if (args.size() == 2) return Command(session, args);
  RespWriter reply = session.reply();
  reply.Array(args.size() - 2);
  for (const std::string_view name : args.subspan(2)) {
    if (const auto* spec = session.services().commands.FindByName(name)) {
      ReplyInfo(reply, *spec);
    } else {
      reply.NullArray();
    }
  }
}

void CommandList(Session& session, Args) {
  RespWriter reply = session.reply();
  const auto commands = TopCommands();
  reply.Set(commands.size());
  for (const CommandSpec* spec : commands) reply.Bulk(LowerCase(spec->name));
}

void CommandGetKeys(Session& session, Args args) {
  RespWriter reply = session.reply();
  const Args call = args.subspan(2);
  const CommandSpec* spec = session.services().commands.Find(call);
  if (spec == nullptr) return reply.Error("ERR Invalid command specified");
  if (spec->first_key == 0) return reply.Error("ERR The command has no key arguments");
  if (!ArityFits(*spec, call.size())) {
    return reply.Error("ERR Invalid number of arguments specified for command");
  }
  const auto positions = KeyPositions(*spec, call.size());
  reply.Array(positions.size());
  for (const std::size_t position : positions) reply.Bulk(call[position]);
}

void ConfigGet(Session& session, Args args) {
  RespWriter reply = session.reply();
  std::vector<std::pair<std::string_view, std::string>> found;
  for (const auto& [name, value] : kSettings) {
    const std::string_view setting = name;
    const bool wanted = std::any_of(args.begin() + 2, args.end(), [&](std::string_view pattern) {
      return common::GlobMatch(LowerCase(pattern), setting);
    });
    if (wanted) found.emplace_back(setting, SettingValue(session.services(), value));
  }
  reply.Map(found.size());
  for (const auto& [name, value] : found) {
    reply.Bulk(name);
    reply.Bulk(value);
  }
}

void Info(Session& session, Args args) {
  std::string out;
  for (const Section& section : kSections) {
    if (!WantsSection(args, section.title)) continue;
    if (!out.empty()) out += "\r\n";
    out += fmt::format("# {}\r\n", section.title);
    out += section.text(session.services());
  }
  session.reply().Verbatim(out);
}

void Time(Session& session, Args) {
  const std::int64_t now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
  RespWriter reply = session.reply();
  reply.Array(2);
  reply.Bulk(fmt::format("{}", now_us / 1'000'000));
  reply.Bulk(fmt::format("{}", now_us % 1'000'000));
}

}  // namespace agent::commands
