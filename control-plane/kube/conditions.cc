#include "control-plane/kube/conditions.h"

#include <set>
#include <utility>

namespace cp {

using nlohmann::json;

void AddCondition(const StatusCondition& condition, const json& before, std::int64_t generation,
                  const std::string& now, json& conditions) {
  const char* const status = condition.is_true ? "True" : "False";
  std::string since = now;
  if (before.is_array()) {
    for (const json& old : before) {
      if (old.value("type", "") != condition.type || old.value("status", "") != status) continue;
      since = old.value("lastTransitionTime", now);
    }
  }
  conditions.push_back({{"type", condition.type},
                        {"status", status},
                        {"reason", condition.reason},
                        {"message", condition.message},
                        {"lastTransitionTime", since},
                        {"observedGeneration", generation}});
}

std::int64_t ConsumersOf(const std::string& dataset, const HubStatus& hub) {
  std::set<std::pair<std::string, std::string>> agents;
  for (const CopyRow& copy : hub.copies) {
    if (copy.dataset == dataset) agents.emplace(copy.service, copy.instance);
  }
  return static_cast<std::int64_t>(agents.size());
}

SubscriptionFacts FactsOf(const common::Subscription& subscription, const HubStatus& hub) {
  SubscriptionFacts facts;
  for (const AgentRow& agent : hub.agents) {
    if (agent.service == subscription.service) ++facts.agents;
  }
  for (const CopyRow& copy : hub.copies) {
    const bool ours = copy.service == subscription.service &&
                      copy.dataset == subscription.collection.dataset &&
                      copy.prefix == subscription.collection.prefix;
    if (ours && copy.state == "SYNCED") ++facts.synced;
  }
  return facts;
}

StatusCondition ReadyOf(const common::Subscription& subscription, const Catalog& catalog,
                        const SubscriptionFacts& facts) {
  const std::string& dataset = subscription.collection.dataset;
  const auto no = [](std::string reason, std::string message) {
    return StatusCondition{"Ready", false, std::move(reason), std::move(message)};
  };
  if (catalog.FindDataset(dataset) == nullptr) {
    return no("DatasetUnknown",
              fmt::format("no dataset {} is declared: create it, or mend spec.dataset (it is "
                          "<name>.<namespace>)",
                          dataset));
  }
  if (!catalog.CheckMayConsume(subscription.service, dataset).ok()) {
    return no("NotGranted",
              fmt::format("{} is not among the consumers of {}: its owner must add it to "
                          "spec.consumers of the Dataset",
                          subscription.service, dataset));
  }
  if (facts.agents == 0) {
    return no("NoAgent", fmt::format("no agent of {} is connected: do its pods run, with an agent?",
                                     subscription.service));
  }
  if (subscription.mode == common::Mode::kReplicate && facts.synced < facts.agents) {
    return no("Syncing",
              fmt::format("{} of {} agents have the whole copy", facts.synced, facts.agents));
  }
  return {"Ready", true, "Synced", fmt::format("{} agents serve it", facts.agents)};
}

}  // namespace cp
