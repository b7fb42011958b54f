#include "agent/xds/wanted.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/delta_codec.h"
#include "common/entry.h"
#include "common/limits.h"
#include "tributary/v1/resources.pb.h"

namespace agent {
namespace {

using common::Consistency;
using common::ConsistencyLevel;

bool Covers(const common::Collection& outer, const common::Collection& inner) {
  return outer.dataset == inner.dataset && outer.Covers(inner.prefix);
}

Consistency Stricter(const Consistency& a, const Consistency& b) {
  if (a.level != b.level) return a.level > b.level ? a : b;
  if (a.level == ConsistencyLevel::kBounded && b.max_staleness != a.max_staleness) {
    return a.max_staleness < b.max_staleness ? a : b;
  }
  return a.on_stale >= b.on_stale ? a : b;
}

// REQUIRES: ordered by collection, so that what covers a collection stands before it.
std::vector<WantedCopy> Disjoint(const std::vector<WantedCopy>& copies) {
  std::vector<WantedCopy> kept;
  for (const WantedCopy& copy : copies) {
    if (!kept.empty() && Covers(kept.back().collection, copy.collection)) {
      kept.back().consistency = Stricter(kept.back().consistency, copy.consistency);
    } else {
      kept.push_back(copy);
    }
  }
  return kept;
}

std::vector<WantedCopy> OfMode(const std::vector<common::Subscription>& subscriptions,
                               common::Mode mode) {
  std::vector<WantedCopy> copies;
  for (const common::Subscription& subscription : subscriptions) {
    if (subscription.mode != mode) continue;
    copies.push_back({subscription.collection, subscription.mode, subscription.consistency});
  }
  std::ranges::stable_sort(copies, {}, &WantedCopy::collection);
  return copies;
}

common::Mode ModeOf(tributary::v1::Subscription::Mode mode) {
  using Proto = tributary::v1::Subscription;
  if (mode == Proto::ON_DEMAND) return common::Mode::kOnDemand;
  return mode == Proto::READ_THROUGH ? common::Mode::kReadThrough : common::Mode::kReplicate;
}

common::Consistency ConsistencyOf(const tributary::v1::Subscription& proto) {
  using Proto = tributary::v1::Subscription;
  Consistency consistency;
  if (proto.level() == Proto::BOUNDED) consistency.level = ConsistencyLevel::kBounded;
  if (proto.level() == Proto::STRONG) consistency.level = ConsistencyLevel::kStrong;
  consistency.max_staleness = std::chrono::milliseconds(proto.max_staleness_ms());
  if (proto.on_stale() == Proto::READ_THROUGH_STALE) {
    consistency.on_stale = common::OnStale::kReadThrough;
  }
  if (proto.on_stale() == Proto::ERROR) consistency.on_stale = common::OnStale::kError;
  return consistency;
}

}  // namespace

Wanted ReduceWanted(const std::vector<common::Subscription>& subscriptions) {
  Wanted wanted;
  wanted.copies = Disjoint(OfMode(subscriptions, common::Mode::kReplicate));
  wanted.read_through = Disjoint(OfMode(subscriptions, common::Mode::kReadThrough));
  while (wanted.copies.size() > common::kCopiesMax) {
    wanted.beyond_limit.push_back(std::move(wanted.copies.back().collection));
    wanted.copies.pop_back();
  }
  for (WantedCopy& copy : Disjoint(OfMode(subscriptions, common::Mode::kOnDemand))) {
    const auto covers = [&](const WantedCopy& outer) {
      return Covers(outer.collection, copy.collection);
    };
    if (std::ranges::any_of(wanted.copies, covers)) continue;
    if (std::ranges::any_of(wanted.read_through, covers)) continue;
    const bool fits = wanted.copies.size() + wanted.by_name.size() < common::kCopiesMax;
    (fits ? wanted.by_name : wanted.unsupported).push_back(std::move(copy));
  }
  return wanted;
}

common::StatusOr<common::Subscription> ParseSubscriptionPayload(std::string_view payload) {
  tributary::v1::Subscription proto;
  if (!proto.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return common::InvalidArgument("not an encoded tributary.v1.Subscription");
  }
  RETURN_IF_ERROR(common::ValidateDatasetName(proto.dataset()));
  if (proto.prefix().size() > common::kKeyBytesMax) {
    return common::InvalidArgument("prefix has {} bytes, at most {} are allowed",
                                   proto.prefix().size(), common::kKeyBytesMax);
  }
  if (!tributary::v1::Subscription::Mode_IsValid(proto.mode()) ||
      !tributary::v1::Subscription::Level_IsValid(proto.level()) ||
      !tributary::v1::Subscription::OnStale_IsValid(proto.on_stale())) {
    return common::InvalidArgument(
        "the subscription to {} asks for a mode or consistency that this agent does not know; "
        "update the agent",
        proto.dataset());
  }
  if (proto.level() == tributary::v1::Subscription::BOUNDED && proto.max_staleness_ms() <= 0) {
    return common::InvalidArgument("bounded consistency of {} needs a max_staleness above 0",
                                   proto.dataset());
  }
  common::Subscription subscription;
  subscription.collection = {proto.dataset(), proto.prefix()};
  subscription.mode = ModeOf(proto.mode());
  subscription.consistency = ConsistencyOf(proto);
  return subscription;
}

std::string EncodeSubscriptionPayload(const common::Subscription& subscription) {
  tributary::v1::Subscription proto;
  proto.set_dataset(subscription.collection.dataset);
  proto.set_prefix(subscription.collection.prefix);
  proto.set_mode(static_cast<tributary::v1::Subscription::Mode>(subscription.mode));
  proto.set_level(static_cast<tributary::v1::Subscription::Level>(subscription.consistency.level));
  proto.set_max_staleness_ms(subscription.consistency.max_staleness.count());
  proto.set_on_stale(
      static_cast<tributary::v1::Subscription::OnStale>(subscription.consistency.on_stale));
  return proto.SerializeAsString();
}

std::string EncodeDeclared(const DeclaredResources& declared) {
  std::string bytes;
  for (const auto& [name, resource] : declared) {
    common::AppendResourceField(name, resource.version, common::kSubscriptionType, resource.payload,
                                bytes);
  }
  common::AppendResponseTrailer(common::kSubscriptionType, "", "kept", "", bytes);
  return bytes;
}

common::StatusOr<DeclaredResources> DecodeDeclared(std::string_view bytes) {
  common::DeltaResponseView view;
  RETURN_IF_ERROR(common::DecodeDeltaResponse(bytes, view));
  DeclaredResources declared;
  for (const common::ResourceView& resource : view.resources) {
    declared.emplace(std::string(resource.name), DeclaredResource{std::string(resource.version),
                                                                  std::string(resource.payload)});
  }
  return declared;
}

}  // namespace agent
