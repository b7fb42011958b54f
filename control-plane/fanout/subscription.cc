#include "control-plane/fanout/subscription.h"

#include <algorithm>

namespace cp {
namespace {

constexpr std::string_view kWildcard = "*";

}  // namespace

common::Status Subscription::AddNames(const common::DeltaRequest& request, Change& change) {
  NameSet seen;
  for (const std::string& name : request.subscribe) {
    if (name.empty()) {
      return common::InvalidArgument("resource_names_subscribe holds an empty name");
    }
    if (name == kWildcard) {
      wildcard_ = true;
      change.wildcard_asked = true;
      continue;
    }
    if (!seen.insert(name).second) continue;
    names_.insert(name);
    change.asked.push_back(name);
    if (names_.size() > names_max_) {
      return common::Error(common::StatusCode::kResourceExhausted,
                           "more than {} names of one type on a stream: subscribe to a collection, "
                           "or use a further stream",
                           names_max_);
    }
  }
  return common::OkStatus();
}

void Subscription::DropNames(const common::DeltaRequest& request, bool had_wildcard,
                             Change& change) {
  for (const std::string& name : request.unsubscribe) {
    if (name == kWildcard) {
      change.wildcard_dropped = had_wildcard;
      change.wildcard_asked = false;
      wildcard_ = false;
    } else if (names_.erase(name) != 0) {
      change.dropped.push_back(name);
    }
  }
  if (change.dropped.empty()) return;
  std::erase_if(change.asked, [this](const std::string& name) { return !Contains(name); });
  if (wildcard_) change.confirm = change.dropped;
}

common::StatusOr<Subscription::Change> Subscription::Apply(const common::DeltaRequest& request) {
  Change change;
  change.first = !opened_;
  opened_ = true;
  // Legacy form of the wildcard: a first request that names nothing at all.
  if (change.first && request.subscribe.empty() && request.unsubscribe.empty()) {
    wildcard_ = true;
    change.wildcard_asked = true;
  }
  const bool had_wildcard = wildcard_;
  RETURN_IF_ERROR(AddNames(request, change));
  DropNames(request, had_wildcard, change);
  return change;
}

common::StatusOr<Subscription::Change> Subscription::Replace(const common::DeltaRequest& request) {
  Change change;
  change.first = !opened_;
  opened_ = true;
  named_ = named_ || !request.subscribe.empty();
  const bool had_wildcard = wildcard_;
  NameSet before;
  before.swap(names_);
  wildcard_ = !named_;
  RETURN_IF_ERROR(AddNames(request, change));
  change.wildcard_asked = wildcard_ && !had_wildcard;
  change.wildcard_dropped = !wildcard_ && had_wildcard;
  std::erase_if(change.asked, [&before](const std::string& name) { return before.contains(name); });
  for (const std::string& name : before) {
    if (!Contains(name)) change.dropped.push_back(name);
  }
  return change;
}

}  // namespace cp
