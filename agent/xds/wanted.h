// Wanted: which copies the agent shall carry – the --subscribe flags and the Subscription resources
// of the control plane, reduced to disjoint collections.
//
// Thread: any; pure functions over values.  Lifetime: values.
// The resources are kept as they came (name, version, payload), so that a restart without control
// plane knows them, and so that the control plane can tell which are gone.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/declarations.h"
#include "common/status.h"

namespace agent {

struct WantedCopy {
  common::Collection collection;
  common::Mode mode = common::Mode::kReplicate;
  common::Consistency consistency;
  friend bool operator==(const WantedCopy&, const WantedCopy&) = default;
};

struct Wanted {
  std::vector<WantedCopy> copies;   // mode replicate, disjoint, ordered by collection
  std::vector<WantedCopy> by_name;  // mode onDemand that nothing else here covers, ordered likewise
  // No copies: the control plane answers. Stricter than a copy that covers the same keys.
  std::vector<WantedCopy> read_through;
  std::vector<WantedCopy> unsupported;  // of mode onDemand, beyond common::kCopiesMax
  std::vector<common::Collection> beyond_limit;  // left out: more than common::kCopiesMax
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

// A prefix that begins with another's is covered by it. Of merged subscriptions the strictest
// consistency holds: strong before bounded before eventual, the smaller staleness first.
Wanted ReduceWanted(const std::vector<common::Subscription>& subscriptions);

// One Subscription resource as received.
struct DeclaredResource {
  std::string version;
  std::string payload;  // encoded tributary.v1.Subscription
};
using DeclaredResources = std::map<std::string, DeclaredResource, std::less<>>;  // by name

// INVALID_ARGUMENT says what is wrong with the payload.
common::StatusOr<common::Subscription> ParseSubscriptionPayload(std::string_view payload);
std::string EncodeSubscriptionPayload(const common::Subscription& subscription);

// For Writer::SetMeta. INVALID_ARGUMENT: not written by EncodeDeclared.
std::string EncodeDeclared(const DeclaredResources& declared);
common::StatusOr<DeclaredResources> DecodeDeclared(std::string_view bytes);

}  // namespace agent
