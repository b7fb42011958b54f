#include "control-plane/fanout/catalog_rules.h"

#include <algorithm>

#include "common/digest.h"
#include "tributary/v1/resources.pb.h"

namespace cp {
namespace {

using Why = NameQueue::Why;

// The client holds what it says it holds, and need not be told again.
void TakeVersions(const Subscription::Change& change, InitialVersions& versions, Channel& channel) {
  if (!change.first) return;
  KnownVersions& held = versions.others();
  for (auto offset = held.Peek(); offset; held.Pop(), offset = held.Peek()) {
    const VersionText::Pair pair = held.At(*offset);
    channel.known[std::string(pair.name)] = pair.version;
    channel.queue.Add(std::string(pair.name), Why::kChanged);
  }
}

void QueueAsked(const Subscription::Change& change, Channel& channel) {
  for (const std::string& name : change.asked) {
    const bool told = change.first && channel.known.contains(name);
    channel.queue.Add(name, told ? Why::kChanged : Why::kAsked);
  }
  for (const std::string& name : change.dropped) {
    channel.queue.Drop(name);
    channel.known.erase(name);
  }
  for (const std::string& name : change.confirm) channel.queue.Add(name, Why::kAsked);
}

bool DiffersFromKnown(const Channel& channel, std::string_view name, const NamedAnswer& answer) {
  const auto it = channel.known.find(name);
  return answer.version != (it == channel.known.end() ? std::string() : it->second);
}

std::string BigEndian(const common::Digest& digest) {
  std::string bytes;
  for (const std::uint64_t half : {digest.high, digest.low}) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(half >> shift));
  }
  return bytes;
}

std::string StatePayload(const common::Dataset& declared, const DatasetState& state,
                         const Context& context) {
  tributary::v1::DatasetState out;
  out.set_dataset(declared.name);
  out.set_epoch(common::FormatEpoch(context.epoch));
  out.set_revision(state.head);
  out.set_entries(state.entries);
  out.set_bytes(state.bytes);
  out.set_digest(BigEndian(state.digest));
  out.set_owner(declared.owner);
  out.set_max_value_bytes(declared.max_value_bytes);
  out.set_server_time_ms(context.unix_ms);
  return out.SerializeAsString();
}

tributary::v1::Subscription::Mode ToProto(common::Mode mode) {
  switch (mode) {
    case common::Mode::kOnDemand:
      return tributary::v1::Subscription::ON_DEMAND;
    case common::Mode::kReadThrough:
      return tributary::v1::Subscription::READ_THROUGH;
    default:
      return tributary::v1::Subscription::REPLICATE;
  }
}

tributary::v1::Subscription::Level ToProto(common::ConsistencyLevel level) {
  switch (level) {
    case common::ConsistencyLevel::kBounded:
      return tributary::v1::Subscription::BOUNDED;
    case common::ConsistencyLevel::kStrong:
      return tributary::v1::Subscription::STRONG;
    default:
      return tributary::v1::Subscription::EVENTUAL;
  }
}

tributary::v1::Subscription::OnStale ToProto(common::OnStale on_stale) {
  switch (on_stale) {
    case common::OnStale::kReadThrough:
      return tributary::v1::Subscription::READ_THROUGH_STALE;
    case common::OnStale::kError:
      return tributary::v1::Subscription::ERROR;
    default:
      return tributary::v1::Subscription::SERVE;
  }
}

std::string SubscriptionPayload(const common::Subscription& declared) {
  tributary::v1::Subscription out;
  out.set_dataset(declared.collection.dataset);
  out.set_prefix(declared.collection.prefix);
  out.set_mode(ToProto(declared.mode));
  out.set_level(ToProto(declared.consistency.level));
  out.set_max_staleness_ms(declared.consistency.max_staleness.count());
  out.set_on_stale(ToProto(declared.consistency.on_stale));
  return out.SerializeAsString();
}

// Equal payloads have equal versions, on every replica and after every restart.
std::string ContentVersion(std::string_view payload) {
  return common::FormatDigest(common::EntryHash({}, {}, payload));
}

}  // namespace

// --- DatasetState -----------------------------------------------------------------------------

void StateRules::AddWatches(const Subscription::Change& change, WatchIndex& watches) {
  if (client_.cursors) return;
  for (const std::string& name : change.asked) {
    const std::optional<std::string> dataset = common::ParseDatasetStateName(name);
    if (dataset && watched_.insert(*dataset).second) watches.Watch(*dataset, client_.stream);
  }
  if (change.wildcard_asked && !watches_every_) {
    watches_every_ = true;
    watches.Watch(WatchIndex::kEvery, client_.stream);
  }
}

void StateRules::DropWatches(const Subscription::Change& change, WatchIndex& watches) {
  for (const std::string& name : change.dropped) {
    const std::optional<std::string> dataset = common::ParseDatasetStateName(name);
    if (dataset && watched_.erase(*dataset) != 0) watches.Unwatch(*dataset, client_.stream);
  }
  if (change.wildcard_dropped && watches_every_) {
    watches_every_ = false;
    watches.Unwatch(WatchIndex::kEvery, client_.stream);
  }
}

void StateRules::Leave(WatchIndex& watches) {
  for (const std::string& dataset : watched_) watches.Unwatch(dataset, client_.stream);
  if (watches_every_) watches.Unwatch(WatchIndex::kEvery, client_.stream);
  watched_.clear();
  watches_every_ = false;
}

common::Status StateRules::OnSubscribe(const Subscription::Change& change,
                                       InitialVersions& versions, const Context& context) {
  TakeVersions(change, versions, channel_);
  QueueAsked(change, channel_);
  AddWatches(change, context.watches);
  DropWatches(change, context.watches);
  if (change.wildcard_dropped) {
    std::erase_if(channel_.known,
                  [this](const auto& item) { return !channel_.subscription.Contains(item.first); });
  }
  if (change.wildcard_asked) {
    channel_.owes_answer = true;
    for (const std::string& name : Members(context)) {
      channel_.queue.Add(name, change.first ? Why::kChanged : Why::kAsked);
    }
  }
  return common::OkStatus();
}

std::vector<std::string> StateRules::Members(const Context& context) const {
  std::vector<std::string> names;
  if (!channel_.subscription.wildcard()) return names;
  for (const auto& [name, declared] : context.catalog.datasets) {
    if (!context.catalog.CheckMayConsume(client_.service, name).ok()) continue;
    names.push_back(common::DatasetStateName(name));
  }
  return names;
}

common::StatusOr<NamedAnswer> StateRules::Resolve(std::string_view name, const Context& context) {
  const bool by_name = channel_.subscription.Contains(name);
  const std::optional<std::string> dataset = common::ParseDatasetStateName(name);
  if (!dataset || name != common::DatasetStateName(*dataset)) {
    return RefusedAnswer(name, common::InvalidArgument("not a DatasetState name: write {}<dataset>",
                                                       common::DatasetStateName("")));
  }
  if (!by_name && !channel_.subscription.wildcard()) return RemovedAnswer(name);
  const common::Status access = context.catalog.CheckMayConsume(client_.service, *dataset);
  if (!access.ok()) return by_name ? RefusedAnswer(name, access) : RemovedAnswer(name);
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, context.view.Dataset(*dataset));
  const common::Dataset* declared = context.catalog.FindDataset(*dataset);
  if (!state || declared == nullptr) return RemovedAnswer(name);
  NamedAnswer answer =
      ResourceAnswer(name, common::FormatVersion({.epoch = context.epoch, .revision = state->head}),
                     common::kDatasetStateType, StatePayload(*declared, *state, context));
  answer.state = SentState{.dataset = *dataset, .revision = state->head};
  return answer;
}

bool StateRules::IsNews(std::string_view name, const NamedAnswer& answer) const {
  return DiffersFromKnown(channel_, name, answer);
}

common::Status StateRules::OnCatalog(const CatalogChanges& changes, const Context&) {
  for (const std::string& dataset : changes.datasets) {
    const std::string name = common::DatasetStateName(dataset);
    if (channel_.subscription.wildcard() || channel_.subscription.Contains(name)) {
      channel_.queue.Add(name, Why::kChanged);
    }
  }
  return common::OkStatus();
}

void StateRules::OnCommitted(std::string_view dataset) {
  if (!watches_every_ && !watched_.contains(dataset)) return;
  channel_.queue.Add(common::DatasetStateName(dataset), Why::kChanged);
}

// --- Subscription -----------------------------------------------------------------------------

bool SubscriptionRules::Covers(std::string_view name) const {
  const Subscription& wanted = channel_.subscription;
  return wanted.wildcard() || wanted.Contains(glob_) || wanted.Contains(name);
}

std::vector<std::string> SubscriptionRules::Members(const Context& context) const {
  std::vector<std::string> names;
  for (const common::Subscription* member : context.catalog.SubscriptionsOf(client_.service)) {
    std::string name = common::SubscriptionName(client_.service, member->name);
    if (Covers(name)) names.push_back(std::move(name));
  }
  return names;
}

common::Status SubscriptionRules::OnSubscribe(const Subscription::Change& change,
                                              InitialVersions& versions, const Context& context) {
  TakeVersions(change, versions, channel_);
  QueueAsked(change, channel_);
  if (change.wildcard_dropped || !change.dropped.empty()) {
    std::erase_if(channel_.known, [this](const auto& item) { return !Covers(item.first); });
  }
  const bool glob_asked = std::ranges::find(change.asked, glob_) != change.asked.end();
  if (!glob_asked && !change.wildcard_asked) return common::OkStatus();
  channel_.owes_answer = true;
  for (const std::string& name : Members(context)) {
    channel_.queue.Add(name, change.first ? Why::kChanged : Why::kAsked);
  }
  return common::OkStatus();
}

common::StatusOr<NamedAnswer> SubscriptionRules::Resolve(std::string_view name,
                                                         const Context& context) {
  const std::string_view own = std::string_view(glob_).substr(0, glob_.size() - 1);
  if (!name.starts_with(own)) {
    return RefusedAnswer(name,
                         common::Error(common::StatusCode::kPermissionDenied,
                                       "a service may only read its own subscriptions: {}", glob_));
  }
  if (name == glob_) {
    const bool empty = context.catalog.SubscriptionsOf(client_.service).empty();
    return empty ? RemovedAnswer(name) : NamedAnswer{};
  }
  const auto it = context.catalog.subscriptions.find(name.substr(own.size()));
  const bool exists =
      it != context.catalog.subscriptions.end() && it->second.object.service == client_.service;
  if (!exists || !Covers(name)) return RemovedAnswer(name);
  const std::string payload = SubscriptionPayload(it->second.object);
  return ResourceAnswer(name, ContentVersion(payload), common::kSubscriptionType, payload);
}

bool SubscriptionRules::IsNews(std::string_view name, const NamedAnswer& answer) const {
  return DiffersFromKnown(channel_, name, answer);
}

common::Status SubscriptionRules::OnCatalog(const CatalogChanges& changes, const Context& context) {
  if (!changes.services.contains(client_.service)) return common::OkStatus();
  for (const auto& [name, version] : channel_.known) channel_.queue.Add(name, Why::kChanged);
  for (const std::string& name : Members(context)) channel_.queue.Add(name, Why::kChanged);
  return common::OkStatus();
}

// --- unknown ----------------------------------------------------------------------------------

common::Status UnknownRules::OnSubscribe(const Subscription::Change& change,
                                         InitialVersions& versions, const Context&) {
  TakeVersions(change, versions, channel_);
  channel_.known.clear();
  QueueAsked(change, channel_);
  if (change.wildcard_asked) channel_.owes_answer = true;
  return common::OkStatus();
}

}  // namespace cp
