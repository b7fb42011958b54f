// Catalog: which datasets and subscriptions are declared, and who may do what with them.
//
// Thread: immutable once shared (std::shared_ptr<const Catalog>); the committer makes new ones.
// Lifetime: value.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/declarations.h"

namespace cp {

// Where an object was declared; an object can only be changed from where it came.
enum class Source { kApi, kManifests, kKubernetes };

template <class T>
struct Declared {
  T object;
  Source source = Source::kApi;
  std::string origin = {};  // for people: the manifest's file; may be empty
};

struct DeclarationChange {
  std::string kind;  // "Dataset" | "Subscription"
  std::string name;
  std::optional<common::Declaration> object;  // absent: withdrawn
  Source source = Source::kApi;
  std::string origin = {};  // as in Declared
};

class Catalog {
 public:
  std::map<std::string, Declared<common::Dataset>, std::less<>> datasets;
  std::map<std::string, Declared<common::Subscription>, std::less<>> subscriptions;

  // Null: not declared.
  const common::Dataset* FindDataset(std::string_view name) const;
  // NOT_FOUND: no such dataset. PERMISSION_DENIED: `service` is not the owner.
  common::Status CheckMayPublish(std::string_view service, std::string_view dataset) const;
  // NOT_FOUND: no such dataset. PERMISSION_DENIED: neither the owner nor among its consumers.
  common::Status CheckMayConsume(std::string_view service, std::string_view dataset) const;
  // Subscriptions declared for `service`, ordered by name. Walks all subscriptions.
  std::vector<const common::Subscription*> SubscriptionsOf(std::string_view service) const;

  // Makes the change, whatever its source; see declare.h for the rules.
  // REQUIRES: kind and name are the object's, if there is one.
  void Apply(const DeclarationChange& change);
};

using CatalogPtr = std::shared_ptr<const Catalog>;

}  // namespace cp
