#include "control-plane/store/declare.h"

#include <map>
#include <utility>
#include <variant>

#include "common/limits.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;

std::string PlaceName(Source source, std::string_view origin) {
  switch (source) {
    case Source::kApi:
      return "the API";
    case Source::kKubernetes:
      return "Kubernetes";
    case Source::kManifests:
      break;
  }
  return origin.empty() ? "the manifests" : fmt::format("manifest {}", origin);
}

template <class T>
using Objects = std::map<std::string, Declared<T>, std::less<>>;

template <class T>
common::StatusOr<std::string> Judge(const Objects<T>& objects, std::size_t objects_max,
                                    const DeclarationChange& change) {
  const auto found = objects.find(change.name);
  const bool exists = found != objects.end();
  if (exists && found->second.source != change.source) {
    return Error(StatusCode::kFailedPrecondition,
                 "{} {} is declared by {} and can only be changed there", change.kind, change.name,
                 PlaceName(found->second.source, found->second.origin));
  }
  if (!change.object) {
    if (exists) return "deleted";
    return Error(StatusCode::kNotFound, "{} {} is not declared", change.kind, change.name);
  }
  if (exists) {
    const bool same = found->second.object == std::get<T>(*change.object);
    return same ? "unchanged" : "configured";
  }
  if (objects.size() < objects_max) return "created";
  return Error(StatusCode::kResourceExhausted,
               "{} {}: there are {} objects of this kind already, no more are allowed", change.kind,
               change.name, objects.size());
}

common::StatusOr<std::string> JudgeKind(const Catalog& catalog, const DeclarationChange& change) {
  if (change.kind == "Dataset") return Judge(catalog.datasets, common::kDatasetsMax, change);
  if (change.kind == "Subscription") {
    return Judge(catalog.subscriptions, common::kSubscriptionsMax, change);
  }
  return common::InvalidArgument("kind '{}' is neither Dataset nor Subscription", change.kind);
}

// True if the object is stored as it is, even to the place that messages name.
bool IsStored(const Catalog& catalog, const DeclarationChange& change) {
  const auto is_same = [&change](const auto& objects) {
    const auto found = objects.find(change.name);
    return found != objects.end() && found->second.origin == change.origin;
  };
  return change.kind == "Dataset" ? is_same(catalog.datasets) : is_same(catalog.subscriptions);
}

bool Fits(const DeclarationChange& change) {
  return !change.object || (common::KindOf(*change.object) == change.kind &&
                            common::NameOf(*change.object) == change.name);
}

}  // namespace

common::StatusOr<DeclarationPlan> PlanDeclarations(Catalog& catalog,
                                                   std::vector<DeclarationChange> changes) {
  DeclarationPlan plan;
  for (DeclarationChange& change : changes) {
    CHECK(Fits(change));
    ASSIGN_OR_RETURN(std::string outcome, JudgeKind(catalog, change));
    plan.outcomes.push_back(std::move(outcome));
    if (plan.outcomes.back() == "unchanged" && IsStored(catalog, change)) continue;
    catalog.Apply(change);
    plan.changes.push_back(std::move(change));
  }
  return plan;
}

}  // namespace cp
