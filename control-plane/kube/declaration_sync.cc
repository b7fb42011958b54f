#include "control-plane/kube/declaration_sync.h"

#include <algorithm>
#include <set>
#include <utility>

#include "control-plane/kube/conditions.h"
#include "control-plane/kube/objects.h"

namespace cp {
namespace {

using nlohmann::json;

std::string TextAt(const json& object, const char* pointer) {
  const json value =
      object.is_object() ? object.value(json::json_pointer(pointer), json()) : json();
  return value.is_string() ? value.get<std::string>() : "";
}

ObjectKey KeyOf(const std::string& kind, const json& object) {
  return {.kind = kind,
          .space = TextAt(object, "/metadata/namespace"),
          .name = TextAt(object, "/metadata/name")};
}

// True if the catalog already holds `object` as the cluster's.
template <class T>
bool Holds(const std::map<std::string, Declared<T>, std::less<>>& declared, const T& object) {
  const auto found = declared.find(object.name);
  return found != declared.end() && found->second.source == Source::kKubernetes &&
         found->second.object == object;
}

bool Holds(const Catalog& catalog, const common::Declaration& object) {
  if (const auto* dataset = std::get_if<common::Dataset>(&object)) {
    return Holds(catalog.datasets, *dataset);
  }
  return Holds(catalog.subscriptions, std::get<common::Subscription>(object));
}

template <class T>
void Withdraw(const std::map<std::string, Declared<T>, std::less<>>& declared,
              const std::string& kind, const std::set<std::string>& wanted,
              std::vector<DeclarationSync::Change>& changes) {
  for (const auto& [name, entry] : declared) {
    if (entry.source != Source::kKubernetes || wanted.contains(name)) continue;
    changes.push_back(
        {.key = {.kind = kind, .space = {}, .name = {}},
         .change = {
             .kind = kind, .name = name, .object = std::nullopt, .source = Source::kKubernetes}});
  }
}

}  // namespace

void DeclarationSync::Put(const std::string& kind, const json& object) {
  const ObjectKey key = KeyOf(kind, object);
  const json generation = object.value("/metadata/generation"_json_pointer, json());
  Object entry{.generation = generation.is_number() ? generation.get<std::int64_t>() : 0,
               .status = object.value("status", json::object()),
               .declaration = DeclarationOf(object)};
  if (!entry.status.is_object()) entry.status = json::object();
  const auto before = objects_.find(key);
  // A new status is no new declaration: what the committer said of it still holds.
  if (before != objects_.end() && before->second.generation == entry.generation) {
    entry.refusal = before->second.refusal;
  }
  objects_.insert_or_assign(key, std::move(entry));
}

void DeclarationSync::OnEvent(const KubeEvent& event) {
  const std::string& kind = event.kind;
  if (event.type == KubeEvent::Type::kReplaced) {
    std::set<ObjectKey> there;
    for (const json& object : event.objects) there.insert(KeyOf(kind, object));
    std::erase_if(objects_, [&](const auto& entry) {
      return entry.first.kind == kind && !there.contains(entry.first);
    });
    (kind == "Dataset" ? datasets_listed_ : subscriptions_listed_) = true;
  }
  for (const json& object : event.objects) {
    if (event.type == KubeEvent::Type::kDeleted) {
      objects_.erase(KeyOf(kind, object));
    } else {
      Put(kind, object);
    }
  }
}

std::vector<DeclarationSync::Change> DeclarationSync::Plan(const Catalog& catalog) const {
  std::vector<Change> changes;
  if (!listed()) return changes;
  std::map<std::string, std::set<std::string>> wanted;
  for (const auto& [key, object] : objects_) {
    // An object that has become unreadable keeps its last good form, as manifests do.
    wanted[key.kind].insert(fmt::format("{}.{}", key.name, key.space));
    if (!object.declaration.ok() || Holds(catalog, *object.declaration)) continue;
    changes.push_back({.key = key,
                       .change = {.kind = key.kind,
                                  .name = common::NameOf(*object.declaration),
                                  .object = *object.declaration,
                                  .source = Source::kKubernetes,
                                  .origin = fmt::format("{}/{}", key.space, key.name)}});
  }
  Withdraw(catalog.datasets, "Dataset", wanted["Dataset"], changes);
  Withdraw(catalog.subscriptions, "Subscription", wanted["Subscription"], changes);
  return changes;
}

void DeclarationSync::OnOutcome(const Change& change, const common::Status& outcome) {
  const auto found = objects_.find(change.key);
  if (found != objects_.end()) found->second.refusal = outcome;
}

std::size_t DeclarationSync::refused() const {
  return static_cast<std::size_t>(std::ranges::count_if(objects_, [](const auto& entry) {
    return !entry.second.declaration.ok() || !entry.second.refusal.ok();
  }));
}

json DeclarationSync::StatusOf(const ObjectKey& key, const Object& object, const Catalog& catalog,
                               const View& view, const HubStatus& hub,
                               const std::string& now) const {
  json status = {{"observedGeneration", object.generation}};
  json conditions = json::array();
  const json before = object.status.value("conditions", json());
  const bool invalid = !object.declaration.ok();
  const common::Status& fault = invalid ? object.declaration.status() : object.refusal;
  const StatusCondition accepted{"Accepted", fault.ok(),
                                 fault.ok() ? "Declared"
                                 : invalid  ? "Invalid"
                                            : "Refused",
                                 fault.ok() ? "in force" : std::string(common::Message(fault))};
  AddCondition(accepted, before, object.generation, now, conditions);
  if (key.kind == "Dataset") {
    const std::string name = fmt::format("{}.{}", key.name, key.space);
    const auto state = view.Dataset(name);
    const DatasetState shown =
        state.ok() && *state && catalog.FindDataset(name) ? **state : DatasetState{};
    status["entries"] = shown.entries;
    status["bytes"] = shown.bytes;
    status["revision"] = shown.head;
    status["consumers"] = ConsumersOf(name, hub);
  } else if (fault.ok()) {
    const auto& subscription = std::get<common::Subscription>(*object.declaration);
    const SubscriptionFacts facts = FactsOf(subscription, hub);
    status["agents"] = facts.agents;
    status["synced"] = facts.synced;
    AddCondition(ReadyOf(subscription, catalog, facts), before, object.generation, now, conditions);
  } else {
    AddCondition({"Ready", false, "NotAccepted", accepted.message}, before, object.generation, now,
                 conditions);
  }
  status["conditions"] = std::move(conditions);
  return status;
}

std::vector<StatusPatch> DeclarationSync::Statuses(const Catalog& catalog, const View& view,
                                                   const HubStatus& hub, const std::string& now,
                                                   std::size_t max) {
  std::vector<StatusPatch> patches;
  // Each round begins behind the last one's end, so that no object waits for ever.
  auto at = objects_.upper_bound(last_);
  for (std::size_t i = 0; i < objects_.size() && patches.size() < max; ++i, ++at) {
    if (at == objects_.end()) at = objects_.begin();
    const auto& [key, object] = *at;
    last_ = key;
    const json status = StatusOf(key, object, catalog, view, hub, now);
    if (status == object.status) continue;
    patches.push_back(
        {.key = key,
         .path = fmt::format("{}/namespaces/{}/{}/{}/status", kGroupPath, key.space,
                             key.kind == "Dataset" ? "datasets" : "subscriptions", key.name),
         .body = json({{"status", status}}).dump(-1, ' ', false, json::error_handler_t::replace)});
  }
  return patches;
}

void DeclarationSync::OnPatched(const StatusPatch& patch) {
  const auto found = objects_.find(patch.key);
  if (found == objects_.end()) return;
  found->second.status = json::parse(patch.body, nullptr, false).value("status", json::object());
}

}  // namespace cp
