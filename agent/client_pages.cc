#include "agent/client_pages.h"

#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agent/server/command_table.h"
#include "agent/server/session.h"

namespace agent {
namespace {

using common::Labels;
using common::MetricFamily;
using nlohmann::json;
using Type = MetricFamily::Type;

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

json ClientJson(Session& session, common::MonotonicTime now) {
  const Client& client = session.client();
  const auto seconds = [&](common::MonotonicTime since) {
    return std::chrono::duration_cast<std::chrono::seconds>(now - since).count();
  };
  return {{"id", client.id},
          {"name", client.name},
          {"library", client.library_name},
          {"library_version", client.library_version},
          {"protocol", static_cast<int>(client.resp)},
          {"age_seconds", seconds(client.since)},
          {"idle_seconds", seconds(client.last_used)},
          {"last_command", LowerCase(client.last_command)},
          {"subscriptions", session.subscriptions()}};
}

using ClientObjects = std::map<std::uint64_t, json>;  // by id

ClientObjects ClientsOf(const Services& services) {
  ClientObjects clients;
  for (const auto& [id, session] : services.sessions) {
    clients.emplace(id, ClientJson(*session, services.clock.Now()));
  }
  return clients;
}

common::AdminResponse NoAnswer() {
  return common::ErrorResponse(503, "the socket server does not answer");
}

void AddCommands(const ServerStats& stats, std::vector<MetricFamily>& out) {
  MetricFamily calls{.name = "tributary_agent_commands_total",
                     .help = "Commands by name and whether they were taken",
                     .type = Type::kCounter};
  MetricFamily reads{.name = "tributary_agent_reads_total",
                     .help = "Keys read, by command and result",
                     .type = Type::kCounter};
  for (const CommandSpec& spec : AllCommands()) {
    const CommandStats& command = stats.commands[CommandTable::IndexOf(spec)];
    const std::string name = LowerCase(spec.name);
    const auto add = [](MetricFamily& to, Labels labels, std::uint64_t value) {
      if (value > 0) to.samples.push_back({std::move(labels), static_cast<double>(value)});
    };
    add(calls, {{"command", name}, {"result", "ok"}}, command.calls.Get());
    add(calls, {{"command", name}, {"result", "rejected"}}, command.rejected.Get());
    for (std::size_t i = 0; i < kReadResultNames.size(); ++i) {
      add(reads, {{"command", name}, {"result", std::string(kReadResultNames[i])}},
          command.reads[i].Get());
    }
  }
  out.push_back(std::move(calls));
  out.push_back(std::move(reads));
}

MetricFamily ReadLatency(const LatencyHistogram& latency) {
  MetricFamily family{.name = "tributary_agent_read_seconds",
                      .help = "Time of each read command inside the agent",
                      .type = Type::kHistogram};
  common::MetricBuckets buckets;
  buckets.bounds.assign(LatencyHistogram::kBoundsSeconds.begin(),
                        LatencyHistogram::kBoundsSeconds.end());
  for (std::size_t i = 0; i <= buckets.bounds.size(); ++i) {
    buckets.counts.push_back(latency.count(i));
  }
  buckets.sum = latency.sum_seconds();
  family.histograms.push_back(std::move(buckets));
  return family;
}

}  // namespace

common::AdminResponse ClientsPage(ServerPool& servers) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  std::vector<std::future<ClientObjects>> answers;
  for (std::size_t loop = 0; loop < servers.loops(); ++loop) {
    auto answer = std::make_shared<std::promise<ClientObjects>>();
    answers.push_back(answer->get_future());
    const bool asked = servers.loop(loop).Ask(
        [answer](Services& services) { answer->set_value(ClientsOf(services)); });
    if (!asked) return NoAnswer();
  }
  ClientObjects by_id;
  for (std::future<ClientObjects>& answer : answers) {
    if (answer.wait_until(deadline) != std::future_status::ready) return NoAnswer();
    by_id.merge(answer.get());
  }
  json clients = json::array();
  for (auto& [id, client] : by_id) clients.push_back(std::move(client));
  return common::JsonResponse(clients.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

std::vector<MetricFamily> ServerMetrics(const ServerStats& stats) {
  std::vector<MetricFamily> out;
  AddCommands(stats, out);
  out.push_back(ReadLatency(stats.read_latency));
  const auto add = [&](const char* name, const char* help, Type type, const Counter& counter) {
    MetricFamily family{
        .name = fmt::format("tributary_agent_{}", name), .help = help, .type = type};
    family.samples.push_back({{}, static_cast<double>(counter.Get())});
    out.push_back(std::move(family));
  };
  add("clients", "Clients connected to the socket", Type::kGauge, stats.clients_now);
  add("clients_total", "Clients ever connected", Type::kCounter, stats.clients_total);
  add("clients_refused_total", "Clients beyond the limit", Type::kCounter, stats.clients_refused);
  add("socket_bytes_in_total", "Bytes received from clients", Type::kCounter, stats.bytes_in);
  add("socket_bytes_out_total", "Bytes sent to clients", Type::kCounter, stats.bytes_out);
  add("protocol_errors_total", "Clients closed for malformed input", Type::kCounter,
      stats.protocol_errors);
  add("writes_ok_total", "Writes that are durable at the control plane", Type::kCounter,
      stats.writes_ok);
  add("writes_failed_total", "Writes that were refused or timed out", Type::kCounter,
      stats.writes_failed);
  add("notices_total", "Change messages sent to subscribers", Type::kCounter, stats.notices);
  add("notices_lost_total", "Times that subscribers were closed because notices were dropped",
      Type::kCounter, stats.notices_lost);
  return out;
}

std::vector<MetricFamily> CacheMetrics(std::size_t bytes_used) {
  MetricFamily family{.name = "tributary_agent_cache_bytes",
                      .help = "Pages in use in the copies' file"};
  family.samples.push_back({{}, static_cast<double>(bytes_used)});
  return {family};
}

std::vector<MetricFamily> ClockMetrics(const ControlPlaneClock& theirs, const common::Clock& ours) {
  if (!theirs.known()) return {};
  MetricFamily family{.name = "tributary_agent_clock_ahead_seconds",
                      .help = "This host's wall clock minus the control plane's"};
  const std::int64_t ahead_ms = ours.UnixMillis() - theirs.UnixMillis(ours);
  family.samples.push_back({{}, static_cast<double>(ahead_ms) / 1000});
  return {family};
}

}  // namespace agent
