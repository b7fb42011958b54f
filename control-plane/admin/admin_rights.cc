#include "control-plane/admin/admin_rights.h"

#include <algorithm>

namespace cp {
namespace {

// The service that an object belongs to.
const std::string& HolderOf(const common::Dataset& dataset) { return dataset.owner; }
const std::string& HolderOf(const common::Subscription& subscription) {
  return subscription.service;
}

template <class T>
bool HeldByOther(const std::map<std::string, Declared<T>, std::less<>>& declared,
                 std::string_view name, std::string_view caller) {
  const auto found = declared.find(name);
  return found != declared.end() && HolderOf(found->second.object) != caller;
}

}  // namespace

bool AdminRights::IsAdmin(std::string_view caller) const {
  return !enforce_ || std::ranges::any_of(admins_, [&](const std::string& pattern) {
    return common::ServiceMatches(pattern, caller);
  });
}

common::Status AdminRights::CheckMayBackUp(std::string_view caller) const {
  if (IsAdmin(caller)) return common::OkStatus();
  return common::Error(common::StatusCode::kPermissionDenied,
                       "a backup holds every dataset: {} may not take one, only a service that "
                       "--admin-service of the control plane names",
                       caller);
}

common::Status AdminRights::CheckMayChange(std::string_view caller, const DeclarationChange& change,
                                           const Catalog& catalog) const {
  if (IsAdmin(caller)) return common::OkStatus();
  const bool held_by_other = change.kind == "Dataset"
                                 ? HeldByOther(catalog.datasets, change.name, caller)
                                 : HeldByOther(catalog.subscriptions, change.name, caller);
  const bool goes_to_other =
      change.object &&
      std::visit([&](const auto& object) { return HolderOf(object) != caller; }, *change.object);
  if (!held_by_other && !goes_to_other) return common::OkStatus();
  return common::Error(common::StatusCode::kPermissionDenied,
                       "{} {} belongs to another service than {}; only it, or a service that "
                       "--admin-service of the control plane names, may change it",
                       change.kind, change.name, caller);
}

}  // namespace cp
