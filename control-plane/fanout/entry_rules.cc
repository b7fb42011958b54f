#include "control-plane/fanout/entry_rules.h"

#include <algorithm>

#include "common/entry.h"
#include "common/limits.h"
#include "control-plane/fanout/entry_names.h"

namespace cp {
namespace {

using Phase = CollectionFeed::Phase;
using Why = NameQueue::Why;

NamedAnswer RefuseSpelling(std::string_view name) {
  const std::optional<common::EntryNameParts> parts = common::ParseEntryName(name);
  return RefusedAnswer(
      name, common::InvalidArgument("not an Entry name: write {}",
                                    parts ? CanonicalEntryName(*parts)
                                          : "xdstp:///tributary.v1.Entry/<dataset>/<encoded key>, "
                                            "…/<dataset>/* or …/<dataset>/*?prefix=<encoded>"));
}

std::optional<common::Cursor> CursorFor(std::string_view name, const InitialVersions& versions) {
  const auto held = versions.Find(name);
  return held ? common::ParseCursor(*held) : std::nullopt;
}

}  // namespace

// --- subscribing ------------------------------------------------------------------------------

// A cursor is honoured in any request, since an agent learns what to carry bit by bit; plain
// versions only in the first, as the protocol has it.
common::Status EntryRules::OnSubscribe(const Subscription::Change& change,
                                       InitialVersions& versions, const Context& context) {
  if (change.wildcard_dropped) DropWildcard(context);
  for (const std::string& name : change.dropped) Drop(name, context);
  for (const std::string& name : change.asked) {
    RETURN_IF_ERROR(Ask(name, change.first, versions, context));
  }
  if (change.wildcard_asked) RETURN_IF_ERROR(AskWildcard(versions, context));
  if (change.first && !client_.cursors) TakeVersions(versions);
  for (const std::string& name : change.confirm) {
    const auto parts = ParseCanonicalEntryName(name);
    if (parts && !parts->is_collection) channel_.queue.Add(name, Why::kAsked);
  }
  return common::OkStatus();
}

common::Status EntryRules::Ask(const std::string& name, bool first, const InitialVersions& versions,
                               const Context& context) {
  const std::optional<common::EntryNameParts> parts = ParseCanonicalEntryName(name);
  if (parts && parts->is_collection) {
    if (TakeDigests(CollectionOf(*parts), versions, context)) return common::OkStatus();
    const auto cursor = client_.cursors ? CursorFor(name, versions) : std::nullopt;
    return AskCollection(CollectionOf(*parts), cursor, context);
  }
  const auto held = first ? versions.Find(name) : std::nullopt;
  if (held) channel_.known.emplace(name, *held);
  channel_.queue.Add(name, held ? Why::kChanged : Why::kAsked);
  return parts ? AskKey(*parts, context) : common::OkStatus();
}

common::Status EntryRules::AskCollection(const common::Collection& collection,
                                         const std::optional<common::Cursor>& resume,
                                         const Context& context) {
  channel_.owes_answer = true;
  ASSIGN_OR_RETURN(const Feeds::iterator it, FindOrAddFeed(collection, context.watches));
  it->second.by_name = true;
  // Tells a client without markers when the collection is empty.
  if (!client_.cursors) channel_.queue.Add(common::CollectionName(collection), Why::kAsked);
  return StartFeed(it->second, resume, context);
}

common::Status EntryRules::AskKey(const common::EntryNameParts& parts, const Context& context) {
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, context.view.Dataset(parts.dataset));
  const bool fresh =
      context.watches.WatchKey(parts.dataset, parts.key, client_.stream, state ? state->head : 0);
  Keys& keys = keys_[parts.dataset];
  if (fresh) ++keys.count;
  keys.access = context.catalog.CheckMayConsume(client_.service, parts.dataset).code();
  return common::OkStatus();
}

common::Status EntryRules::AskWildcard(const InitialVersions& versions, const Context& context) {
  channel_.owes_answer = true;
  for (const auto& [dataset, declared] : context.catalog.datasets) {
    if (!context.catalog.CheckMayConsume(client_.service, dataset).ok()) continue;
    const common::Collection whole{.dataset = dataset, .prefix = {}};
    ASSIGN_OR_RETURN(const Feeds::iterator it, FindOrAddFeed(whole, context.watches));
    it->second.by_wildcard = true;
    const auto cursor =
        client_.cursors ? CursorFor(common::CollectionName(whole), versions) : std::nullopt;
    RETURN_IF_ERROR(StartFeed(it->second, cursor, context));
  }
  return common::OkStatus();
}

void EntryRules::TakeVersions(InitialVersions& versions) {
  for (auto& [dataset, held] : versions.entries()) TakeVersionsOf(dataset, std::move(held));
  uncovered_.push_back(std::move(versions.others()));
}

// To the feeds that cover them; what no feed covers is to be removed.
void EntryRules::TakeVersionsOf(const std::string& dataset, KnownVersions held) {
  const auto whole = feeds_.find({.dataset = dataset, .prefix = {}});
  if (whole != feeds_.end() && whole->second.phase() != Phase::kDenied) {
    whole->second.known() = std::move(held);
    return;
  }
  KnownVersions uncovered(held.text());
  for (auto offset = held.Peek(); offset; held.Pop(), offset = held.Peek()) {
    const auto parts = common::ParseEntryName(held.At(*offset).name);
    CollectionFeed* const feed = FeedCovering(dataset, parts->key);
    if (feed != nullptr && feed->known().text() == nullptr) {
      feed->known() = KnownVersions(held.text());
    }
    (feed != nullptr ? feed->known() : uncovered).Add(*offset);
  }
  uncovered_.push_back(std::move(uncovered));
}

// --- unsubscribing ----------------------------------------------------------------------------

void EntryRules::Drop(const std::string& name, const Context& context) {
  channel_.queue.Drop(name);
  channel_.known.erase(name);
  const std::optional<common::EntryNameParts> parts = ParseCanonicalEntryName(name);
  if (!parts) return;
  if (!parts->is_collection) return DropKey(*parts, context);
  const auto it = feeds_.find(CollectionOf(*parts));
  if (it == feeds_.end()) return;
  it->second.by_name = false;
  if (!it->second.by_wildcard) EraseFeed(it, context.watches);
}

void EntryRules::DropKey(const common::EntryNameParts& parts, const Context& context) {
  // A name subscribed and unsubscribed by the same request was never watched.
  if (!context.watches.UnwatchKey(parts.dataset, parts.key, client_.stream)) return;
  const auto keys = keys_.find(parts.dataset);
  CHECK(keys != keys_.end());
  if (--keys->second.count == 0) keys_.erase(keys);
}

void EntryRules::DropWildcard(const Context& context) {
  for (auto it = feeds_.begin(); it != feeds_.end();) {
    const auto feed = it++;
    feed->second.by_wildcard = false;
    if (!feed->second.by_name) EraseFeed(feed, context.watches);
  }
}

void EntryRules::EraseFeed(Feeds::iterator it, WatchIndex& watches) {
  const common::Collection& collection = it->first;
  // Changes that only the feed would have brought.
  if (it->second.HasWork() && keys_.contains(collection.dataset)) {
    for (const std::string& name : channel_.subscription.names()) {
      const auto parts = ParseCanonicalEntryName(name);
      const bool covered = parts && !parts->is_collection && parts->dataset == collection.dataset &&
                           collection.Covers(parts->key);
      if (covered) channel_.queue.Add(name, Why::kChanged);
    }
  }
  watches.Unwatch(collection.dataset, client_.stream);
  feeds_.erase(it);
}

void EntryRules::Leave(WatchIndex& watches) {
  for (const auto& [collection, feed] : feeds_) {
    watches.Unwatch(collection.dataset, client_.stream);
  }
  feeds_.clear();
  if (keys_.empty()) return;
  for (const std::string& name : channel_.subscription.names()) {
    const auto parts = ParseCanonicalEntryName(name);
    if (parts && !parts->is_collection) {
      watches.UnwatchKey(parts->dataset, parts->key, client_.stream);
    }
  }
}

// --- access -----------------------------------------------------------------------------------

common::StatusOr<EntryRules::Feeds::iterator> EntryRules::FindOrAddFeed(
    const common::Collection& collection, WatchIndex& watches) {
  if (const auto it = feeds_.find(collection); it != feeds_.end()) return it;
  if (feeds_.size() >= common::kCollectionsPerStreamMax) {
    return common::Error(common::StatusCode::kResourceExhausted,
                         "more than {} collections on a stream: use a further stream",
                         common::kCollectionsPerStreamMax);
  }
  watches.Watch(collection.dataset, client_.stream);
  return feeds_.emplace(collection, CollectionFeed(collection, client_.cursors, client_.buckets))
      .first;
}

common::Status EntryRules::StartFeed(CollectionFeed& feed,
                                     const std::optional<common::Cursor>& resume,
                                     const Context& context) {
  const std::string& dataset = feed.collection().dataset;
  const common::Status access = context.catalog.CheckMayConsume(client_.service, dataset);
  if (!access.ok()) {
    DenyFeed(feed, access.code());
    return common::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, context.view.Dataset(dataset));
  if (state) {
    feed.Start(context.epoch, *state, resume);
  } else {
    DenyFeed(feed, common::StatusCode::kNotFound);
  }
  return common::OkStatus();
}

void EntryRules::DenyFeed(CollectionFeed& feed, common::StatusCode why) {
  feed.Deny(why);
  // An agent is told by the collection's name that its copy is void; "*" has no name to refuse.
  if (feed.by_name || client_.cursors) {
    channel_.queue.Add(common::CollectionName(feed.collection()), Why::kAsked);
  }
}

common::Status EntryRules::ReviewFeed(CollectionFeed& feed, const Context& context) {
  const common::StatusCode access =
      context.catalog.CheckMayConsume(client_.service, feed.collection().dataset).code();
  if (access == feed.denied) return common::OkStatus();
  if (access == common::StatusCode::kOk) return StartFeed(feed, std::nullopt, context);
  DenyFeed(feed, access);
  return common::OkStatus();
}

common::Status EntryRules::ReviewWildcard(const std::string& dataset, const Context& context) {
  if (!context.catalog.CheckMayConsume(client_.service, dataset).ok()) return common::OkStatus();
  const common::Collection whole{.dataset = dataset, .prefix = {}};
  const bool fresh = !feeds_.contains(whole);
  ASSIGN_OR_RETURN(const Feeds::iterator it, FindOrAddFeed(whole, context.watches));
  it->second.by_wildcard = true;
  return fresh ? StartFeed(it->second, std::nullopt, context) : common::OkStatus();
}

void EntryRules::ReviewKeys(const std::string& dataset, const Context& context) {
  const auto keys = keys_.find(dataset);
  if (keys == keys_.end()) return;
  const common::StatusCode access =
      context.catalog.CheckMayConsume(client_.service, dataset).code();
  if (access == keys->second.access) return;
  keys->second.access = access;
  for (const std::string& name : channel_.subscription.names()) {
    const auto parts = ParseCanonicalEntryName(name);
    if (!parts || parts->is_collection || parts->dataset != dataset) continue;
    channel_.queue.Add(name, Why::kAsked);
  }
}

common::Status EntryRules::OnCatalog(const CatalogChanges& changes, const Context& context) {
  for (const std::string& dataset : changes.datasets) {
    for (auto it = feeds_.lower_bound({.dataset = dataset, .prefix = {}});
         it != feeds_.end() && it->first.dataset == dataset; ++it) {
      RETURN_IF_ERROR(ReviewFeed(it->second, context));
    }
    if (channel_.subscription.wildcard()) RETURN_IF_ERROR(ReviewWildcard(dataset, context));
    ReviewKeys(dataset, context);
  }
  return common::OkStatus();
}

// --- answers by name --------------------------------------------------------------------------

// A client may have thousands of prefixes of one dataset: looks at those only that come before
// what is left of `key` and shortens it to what they have in common.
CollectionFeed* EntryRules::FeedCovering(std::string_view dataset, std::string_view key) {
  common::Collection probe{.dataset = std::string(dataset), .prefix = std::string(key)};
  for (auto it = feeds_.upper_bound(probe); it != feeds_.begin(); it = feeds_.upper_bound(probe)) {
    --it;
    const std::string& prefix = it->first.prefix;
    if (it->first.dataset != dataset) return nullptr;
    if (!it->first.Covers(key)) {
      probe.prefix.resize(static_cast<std::size_t>(std::ranges::mismatch(probe.prefix, prefix).in1 -
                                                   probe.prefix.begin()));
      continue;
    }
    if (it->second.phase() != Phase::kDenied) return &it->second;
    if (prefix.empty()) return nullptr;
    probe.prefix.resize(prefix.size() - 1);
  }
  return nullptr;
}

common::StatusOr<NamedAnswer> EntryRules::Resolve(std::string_view name, const Context& context) {
  const std::optional<common::EntryNameParts> parts = ParseCanonicalEntryName(name);
  if (!parts) {
    return channel_.subscription.Contains(name) ? RefuseSpelling(name) : RemovedAnswer(name);
  }
  return parts->is_collection ? ResolveCollection(name, *parts, context)
                              : ResolveKey(name, *parts, context);
}

common::StatusOr<NamedAnswer> EntryRules::ResolveCollection(std::string_view name,
                                                            const common::EntryNameParts& parts,
                                                            const Context& context) {
  const common::Status access = context.catalog.CheckMayConsume(client_.service, parts.dataset);
  if (!access.ok()) return RefusedAnswer(name, access);
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, context.view.Dataset(parts.dataset));
  if (client_.cursors && state) return NamedAnswer{};
  bool empty = true;
  if (state) {
    RETURN_IF_ERROR(context.view.ScanEntries(state->id, parts.prefix, {}, [&empty](const Stored&) {
      empty = false;
      return false;
    }));
  }
  return empty ? RemovedAnswer(name) : NamedAnswer{};
}

common::StatusOr<NamedAnswer> EntryRules::ResolveKey(std::string_view name,
                                                     const common::EntryNameParts& parts,
                                                     const Context& context) {
  const bool by_name = channel_.subscription.Contains(name);
  if (!by_name && FeedCovering(parts.dataset, parts.key) == nullptr) return RemovedAnswer(name);
  const common::Status access = context.catalog.CheckMayConsume(client_.service, parts.dataset);
  if (!access.ok()) return by_name ? RefusedAnswer(name, access) : RemovedAnswer(name);
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, context.view.Dataset(parts.dataset));
  if (!state) return RemovedAnswer(name);
  ASSIGN_OR_RETURN(const std::optional<Stored> stored, context.view.Get(state->id, parts.key));
  if (!stored || stored->resource.empty()) return RemovedAnswer(name);
  return NamedAnswer{.fields = std::string(stored->resource),
                     .version = common::FormatVersion(stored->version)};
}

// Only what the client said in its first request is known by name; commits queue what changed.
bool EntryRules::IsNews(std::string_view name, const NamedAnswer& answer) const {
  const auto it = channel_.known.find(name);
  return it == channel_.known.end() || it->second != answer.version;
}

}  // namespace cp
