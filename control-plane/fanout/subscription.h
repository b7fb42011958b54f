// Subscription: which names of one type one delta stream wants – explicit names and the wildcard,
// counted independently.
//
// Thread: hub.  Lifetime: one stream and type; pure, no store, clock or lock.
// Globs are explicit names here; what they cover is the business of whoever answers them.
// Source: docs/protocol.md; the xDS protocol's delta rules on subscribe, unsubscribe and wildcard.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/delta_codec.h"
#include "common/status.h"
#include "common/text_hash.h"

namespace cp {

using common::NameSet;
using common::TextHash;

class Subscription {
 public:
  // What a request changed; names appear once, in the order of the request.
  struct Change {
    bool first = false;                // the first request of the type on its stream
    std::vector<std::string> asked;    // to be answered, even if subscribed before
    std::vector<std::string> dropped;  // no longer wanted by name
    // Of `dropped`: unsubscribed while the wildcard stays, so the client must be told whether it
    // still has the resource.
    std::vector<std::string> confirm;
    bool wildcard_asked = false;
    bool wildcard_dropped = false;
  };

  // `names_max`: how many explicit names may be subscribed at a time.
  explicit Subscription(std::size_t names_max) : names_max_(names_max) {}

  // RESOURCE_EXHAUSTED: too many names; INVALID_ARGUMENT: an empty name. The stream must end then.
  common::StatusOr<Change> Apply(const common::DeltaRequest& request);
  // State of the world: `subscribe` holds all that is wanted from now on; empty: everything, unless
  // something was named before on this stream.
  common::StatusOr<Change> Replace(const common::DeltaRequest& request);

  bool Contains(std::string_view name) const { return names_.contains(name); }
  bool wildcard() const { return wildcard_; }
  bool empty() const { return names_.empty() && !wildcard_; }
  const NameSet& names() const { return names_; }

 private:
  common::Status AddNames(const common::DeltaRequest& request, Change& change);
  void DropNames(const common::DeltaRequest& request, bool had_wildcard, Change& change);

  const std::size_t names_max_;
  NameSet names_;
  bool wildcard_ = false;
  bool opened_ = false;
  bool named_ = false;  // state of the world: some request held names
};

}  // namespace cp
