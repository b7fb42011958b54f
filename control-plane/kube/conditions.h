// Conditions: what an object's status says of it, in words that tell what to do.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control-plane/fanout/hub.h"
#include "control-plane/store/store.h"

namespace cp {

struct StatusCondition {
  std::string type;  // "Accepted" | "Ready"
  bool is_true = false;
  std::string reason;  // one word in CamelCase
  std::string message;
};

// Appends `condition` to `conditions`; its time is that of `before`'s, if the status is the same.
void AddCondition(const StatusCondition& condition, const nlohmann::json& before,
                  std::int64_t generation, const std::string& now, nlohmann::json& conditions);

// How many agents carry a dataset; how many of a service's have a whole copy of a collection.
struct SubscriptionFacts {
  std::int64_t agents = 0;
  std::int64_t synced = 0;
};
std::int64_t ConsumersOf(const std::string& dataset, const HubStatus& hub);
SubscriptionFacts FactsOf(const common::Subscription& subscription, const HubStatus& hub);

// "Ready" of an accepted subscription: dataset declared, grant given, agents connected and in sync.
StatusCondition ReadyOf(const common::Subscription& subscription, const Catalog& catalog,
                        const SubscriptionFacts& facts);

}  // namespace cp
