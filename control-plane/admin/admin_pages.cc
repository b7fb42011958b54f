#include "control-plane/admin/admin_pages.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "control-plane/admin/status_rows.h"

namespace cp {
namespace {

using nlohmann::json;

std::string Print(const json& page) {
  return page.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

json CopyJson(const CopyRow& row, common::MonotonicTime now) {
  const bool proven = row.proven_at != common::MonotonicTime{};
  return {{"dataset", row.dataset},
          {"prefix", row.prefix},
          {"state", row.state},
          {"revision", row.revision},
          {"head", row.head},
          {"lag", row.head > row.revision ? row.head - row.revision : 0},
          {"lag_ms", row.lag_ms},
          {"age_ms", proven ? json(MillisBetween(row.proven_at, now)) : json()},
          {"digest", row.digest}};
}

}  // namespace

std::string AgentsPage(const HubStatus& status, common::MonotonicTime now) {
  json agents = json::array();
  for (const AgentRow& row : status.agents) {
    json copies = json::array();
    for (const CopyRow& copy : status.copies) {
      if (copy.service == row.service && copy.instance == row.instance) {
        copies.push_back(CopyJson(copy, now));
      }
    }
    agents.push_back({{"service", row.service},
                      {"instance", row.instance},
                      {"peer", row.peer},
                      {"user_agent", row.user_agent},
                      {"connected_ms", MillisBetween(row.connected_since, now)},
                      {"unacked_bytes", row.unacked_bytes},
                      {"copies", copies}});
  }
  return Print({{"agents", agents}});
}

common::StatusOr<std::string> DatasetsPage(const Store& store) {
  const CatalogPtr catalog = store.catalog();
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.OpenView());
  json datasets = json::array();
  for (const auto& [name, declared] : catalog->datasets) {
    ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(name));
    const DatasetState shown = state.value_or(DatasetState{});
    datasets.push_back({{"name", name},
                        {"owner", declared.object.owner},
                        {"consumers", declared.object.consumers},
                        {"revision", shown.head},
                        {"floor", shown.floor},
                        {"tombstones", shown.tombstones},
                        {"entries", shown.entries},
                        {"bytes", shown.bytes},
                        {"digest", common::FormatDigest(shown.digest)}});
  }
  return Print({{"epoch", common::FormatEpoch(store.epoch())}, {"datasets", datasets}});
}

}  // namespace cp
