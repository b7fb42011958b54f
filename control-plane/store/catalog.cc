#include "control-plane/store/catalog.h"

#include <algorithm>
#include <variant>

namespace cp {
namespace {

using common::Error;
using common::StatusCode;

template <class T>
void ApplyTo(std::map<std::string, Declared<T>, std::less<>>& objects,
             const DeclarationChange& change) {
  if (!change.object) {
    objects.erase(change.name);
    return;
  }
  const T* const object = std::get_if<T>(&*change.object);
  CHECK(object != nullptr && object->name == change.name);
  objects.insert_or_assign(change.name, Declared<T>{*object, change.source, change.origin});
}

common::Status NoDataset(std::string_view name) {
  return Error(StatusCode::kNotFound, "dataset {} is not declared", name);
}

}  // namespace

const common::Dataset* Catalog::FindDataset(std::string_view name) const {
  const auto found = datasets.find(name);
  return found == datasets.end() ? nullptr : &found->second.object;
}

common::Status Catalog::CheckMayPublish(std::string_view service, std::string_view dataset) const {
  const common::Dataset* const found = FindDataset(dataset);
  if (found == nullptr) return NoDataset(dataset);
  if (found->owner == service) return common::OkStatus();
  return Error(StatusCode::kPermissionDenied,
               "service {} does not own dataset {}; only its owner {} may publish", service,
               dataset, found->owner);
}

common::Status Catalog::CheckMayConsume(std::string_view service, std::string_view dataset) const {
  const common::Dataset* const found = FindDataset(dataset);
  if (found == nullptr) return NoDataset(dataset);
  const auto matches = [service](const std::string& pattern) {
    return common::ServiceMatches(pattern, service);
  };
  if (found->owner == service || std::ranges::any_of(found->consumers, matches)) {
    return common::OkStatus();
  }
  return Error(StatusCode::kPermissionDenied,
               "service {} is not among the consumers of dataset {}; its owner {} can add it",
               service, dataset, found->owner);
}

std::vector<const common::Subscription*> Catalog::SubscriptionsOf(std::string_view service) const {
  std::vector<const common::Subscription*> found;
  for (const auto& [name, declared] : subscriptions) {
    if (declared.object.service == service) found.push_back(&declared.object);
  }
  return found;
}

void Catalog::Apply(const DeclarationChange& change) {
  if (change.kind == "Dataset") {
    ApplyTo(datasets, change);
  } else {
    CHECK(change.kind == "Subscription");
    ApplyTo(subscriptions, change);
  }
}

}  // namespace cp
