#include "agent/admin_pages.h"

#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/units.h"

namespace agent {
namespace {

using common::MetricFamily;
using common::MetricSample;
using nlohmann::json;
using Type = MetricFamily::Type;

double AgeSeconds(const CopyStatus& copy, const common::Clock& clock) {
  if (!copy.proven_at) return std::numeric_limits<double>::infinity();
  return std::chrono::duration<double>(clock.Now() - *copy.proven_at).count();
}

json AgeMillis(const CopyStatus& copy, const common::Clock& clock) {
  if (!copy.proven_at) return nullptr;  // unknown must not compare like "fresh"
  return std::chrono::duration_cast<common::Millis>(clock.Now() - *copy.proven_at).count();
}

json ConsistencyJson(const common::Consistency& consistency) {
  json out = {{"level", common::LevelName(consistency.level)}};
  if (consistency.level != common::ConsistencyLevel::kBounded) return out;
  out["max_staleness_ms"] = consistency.max_staleness.count();
  out["on_stale"] = common::OnStaleName(consistency.on_stale);
  return out;
}

json CopyJson(const CopyStatus& copy, const common::Clock& clock) {
  json out = {
      {"dataset", copy.collection.dataset},
      {"prefix", copy.collection.prefix},
      {"mode", common::ModeName(copy.mode)},
      {"consistency", ConsistencyJson(copy.consistency)},
      {"state", PhaseName(copy.phase)},
      {"epoch", copy.cursor.epoch == 0 ? std::string() : common::FormatEpoch(copy.cursor.epoch)},
      {"revision", copy.cursor.revision},
      {"head", copy.head},
      {"age_ms", AgeMillis(copy, clock)},
      {"entries", copy.entries},
      {"bytes", copy.bytes},
      {"digest", copy.digest},
      {"digest_mismatch", copy.digest_mismatch},
      {"verified_at", copy.verified_at_ms},
  };
  if (!copy.note.empty()) out["note"] = copy.note;
  return out;
}

std::string Dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

bool Readable(const CopyStatus& copy) {
  switch (copy.phase) {
    case CopyPhase::kSynced:
    case CopyPhase::kStale:
    case CopyPhase::kReloading:
    case CopyPhase::kReadThrough:
      return true;
    default:
      return false;
  }
}

std::string Waiting(const AgentStatus& status) {
  std::string text;
  if (!status.wanted_known) text = "the control plane has not said what to carry";
  for (const CopyStatus& copy : status.copies) {
    if (copy.phase == CopyPhase::kSynced || copy.phase == CopyPhase::kReadThrough) continue;
    text += fmt::format("{}{}{} is {}", text.empty() ? "" : ", ", copy.collection.dataset,
                        copy.collection.prefix.empty() ? "" : "/" + copy.collection.prefix + "*",
                        PhaseName(copy.phase));
  }
  return text;
}

MetricFamily Single(std::string name, std::string help, Type type, double value) {
  return {.name = std::move(name),
          .help = std::move(help),
          .type = type,
          .samples = {{.labels = {}, .value = value}},
          .histograms = {}};
}

template <class Value>
MetricFamily PerCopy(std::string name, std::string help, const AgentStatus& status, Value value) {
  MetricFamily family{.name = std::move(name), .help = std::move(help), .type = Type::kGauge};
  for (const CopyStatus& copy : status.copies) {
    family.samples.push_back(
        {.labels = {{"dataset", copy.collection.dataset}, {"prefix", copy.collection.prefix}},
         .value = static_cast<double>(value(copy))});
  }
  return family;
}

void AddTotals(const AgentStatus& status, std::vector<MetricFamily>& out) {
  const auto count = [&](const char* name, const char* help, std::uint64_t value) {
    out.push_back(Single(fmt::format("tributary_agent_{}_total", name), help, Type::kCounter,
                         static_cast<double>(value)));
  };
  count("reconnects", "Streams to the control plane that were lost", status.reconnects);
  count("bytes_in", "Bytes of xDS responses", status.bytes_in);
  count("responses", "xDS responses", status.responses);
  count("nacks", "xDS responses rejected", status.nacks);
  count("applies", "Consistent cuts made visible", status.applies);
  count("applied_entries", "Entries written to the cache", status.entries_applied);
  count("digest_mismatches", "Copies found different from their dataset", status.digest_mismatches);
  count("checksum_faults", "Copies found broken on the disk", status.checksum_faults);
  count("repairs", "Copies repaired by digests", status.repairs);
  count("on_demand_dropped", "Keys that on-demand copies have dropped", status.on_demand_dropped);
  out.push_back(Single("tributary_agent_on_demand_keys", "Keys held by on-demand copies",
                       Type::kGauge, static_cast<double>(status.on_demand_names)));
  out.push_back(Single("tributary_agent_on_demand_bytes", "Keys and values held by those copies",
                       Type::kGauge, static_cast<double>(status.on_demand_bytes)));
  out.push_back(Single("tributary_agent_apply_seconds_total", "Time spent writing to the cache",
                       Type::kCounter, status.apply_seconds));
  out.push_back(Single("tributary_agent_connected", "1 while the control plane answers",
                       Type::kGauge, status.connected ? 1 : 0));
  out.push_back(Single("tributary_agent_apply_stopped",
                       "1 while responses cannot be stored (disk or map full)", Type::kGauge,
                       status.apply_error.empty() ? 0 : 1));
}

}  // namespace

std::string DatasetsJson(const AgentStatus& status, const common::Clock& clock) {
  json copies = json::array();
  for (const CopyStatus& copy : status.copies) copies.push_back(CopyJson(copy, clock));
  json out = {{"service", status.service},
              {"control_plane", status.control_plane},
              {"connected", status.connected},
              {"datasets", std::move(copies)}};
  if (!status.apply_error.empty()) out["apply_error"] = status.apply_error;
  return Dump(out);
}

std::string ConfigJson(const AgentOptions& options, const AgentStatus& status) {
  json subscriptions = json::array();
  for (const CopyStatus& copy : status.copies) {
    subscriptions.push_back({{"dataset", copy.collection.dataset},
                             {"prefix", copy.collection.prefix},
                             {"mode", common::ModeName(copy.mode)},
                             {"consistency", ConsistencyJson(copy.consistency)}});
  }
  return Dump({{"version", common::BuildVersion()},
               {"service", options.service},
               {"instance", options.instance},
               {"control_planes", options.control_planes},
               {"socket", options.socket},
               {"socket_mode", common::FormatMode(options.socket_mode.bits)},
               {"threads", options.threads},
               {"data_dir", options.data_dir},
               {"max_map_size", options.max_map_size.bytes},
               {"admin", options.admin},
               {"insecure", options.insecure},
               {"subscribe", options.subscribe},
               {"freshness_interval_ms", options.freshness_interval.count()},
               {"on_demand_entries", options.on_demand_entries},
               {"on_demand_bytes", options.on_demand_bytes.bytes},
               {"on_demand_idle_ms", options.on_demand_idle.count()},
               {"on_demand_absence_ms", options.on_demand_absence.count()},
               {"publish_timeout_ms", options.publish_timeout.count()},
               {"subscriptions", std::move(subscriptions)}});
}

std::vector<MetricFamily> SyncMetrics(const AgentStatus& status, const common::Clock& clock) {
  std::vector<MetricFamily> out;
  AddTotals(status, out);
  out.push_back(PerCopy("tributary_agent_copy_age_seconds",
                        "Time since the copy was last proven fresh; +Inf: never", status,
                        [&](const CopyStatus& copy) { return AgeSeconds(copy, clock); }));
  out.push_back(PerCopy("tributary_agent_copy_lag_revisions",
                        "Revisions between the copy and the last known head of its dataset", status,
                        [](const CopyStatus& copy) {
                          return copy.head > copy.cursor.revision ? copy.head - copy.cursor.revision
                                                                  : 0;
                        }));
  out.push_back(PerCopy("tributary_agent_copy_readable", "1 if the copy can be read", status,
                        [](const CopyStatus& copy) { return Readable(copy) ? 1 : 0; }));
  out.push_back(PerCopy("tributary_agent_copy_entries", "Entries in the copy", status,
                        [](const CopyStatus& copy) { return copy.entries; }));
  out.push_back(PerCopy("tributary_agent_copy_bytes", "Keys and values in the copy", status,
                        [](const CopyStatus& copy) { return copy.bytes; }));
  return out;
}

common::Status Readiness::Check(const AgentStatus& status) {
  bool ready = status.wanted_known;
  for (const CopyStatus& copy : status.copies) {
    // What cannot be served by anybody does not keep this agent from serving the rest.
    const bool settled = copy.phase == CopyPhase::kNoDataset ||
                         copy.phase == CopyPhase::kNoPermission ||
                         copy.phase == CopyPhase::kUnsupported;
    ready = ready && (Readable(copy) || settled);
  }
  if (ready) latched_ = true;
  if (latched_) return common::OkStatus();
  return common::Error(common::StatusCode::kUnavailable, "not ready: {}", Waiting(status));
}

std::string Readiness::Note(const AgentStatus& status) { return Waiting(status); }

std::vector<MetricFamily> RemoteMetrics(const ReadQueue::Totals& totals) {
  const auto count = [](const char* name, const char* help, std::uint64_t value) {
    return Single(fmt::format("tributary_agent_remote_{}_total", name), help, Type::kCounter,
                  static_cast<double>(value));
  };
  return {count("questions", "Reads that the control plane was to answer", totals.questions),
          count("calls", "Calls that carried them", totals.calls),
          count("keys", "Keys in those calls", totals.keys),
          count("failures", "Calls that the control plane did not answer", totals.failures),
          count("refused", "Reads refused because it has not answered lately", totals.refused),
          Single("tributary_agent_remote_open", "1 while reads are refused at once", Type::kGauge,
                 totals.open ? 1 : 0)};
}

}  // namespace agent
