#include "control-plane/fanout/sotw_rules.h"

#include <algorithm>
#include <utility>

#include "common/digest.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/entry_names.h"
#include "control-plane/fanout/sotw_encoding.h"

namespace cp {
namespace {

constexpr std::size_t kTrailerBytesMax = 4 * common::kKiB;

// `by`: none of them covers another.
bool IsCovered(std::string_view dataset, std::string_view key,
               const std::set<common::Collection>& by) {
  auto it = by.upper_bound({.dataset = std::string(dataset), .prefix = std::string(key)});
  if (it == by.begin()) return false;
  --it;
  return it->dataset == dataset && it->Covers(key);
}

// Without those that others cover: a collection comes before what it covers.
std::set<common::Collection> WithoutCovered(const std::set<common::Collection>& all) {
  std::set<common::Collection> kept;
  for (const common::Collection& collection : all) {
    if (!IsCovered(collection.dataset, collection.prefix, kept)) kept.insert(collection);
  }
  return kept;
}

}  // namespace

// --- what it depends on -----------------------------------------------------------------------

common::Status SotwRules::OnSubscribe(const Subscription::Change& change, InitialVersions&,
                                      const Context& context) {
  const bool changed = change.first || change.wildcard_asked || change.wildcard_dropped ||
                       !change.asked.empty() || !change.dropped.empty();
  if (!changed) return common::OkStatus();
  Watch(context.watches);
  dirty_ = asked_ = !channel_.subscription.empty();
  // What the client says that it holds is all there is to compare with at first.
  if (!change.first) channel_.sent_version.clear();
  return common::OkStatus();
}

void SotwRules::Watch(WatchIndex& watches) {
  std::set<std::string, std::less<>> wanted;
  if (channel_.subscription.wildcard()) wanted.emplace(WatchIndex::kEvery);
  for (const std::string& name : channel_.subscription.names()) {
    if (const auto parts = common::ParseEntryName(name)) wanted.insert(parts->dataset);
    if (const auto dataset = common::ParseDatasetStateName(name)) wanted.insert(*dataset);
  }
  for (const std::string& dataset : wanted) {
    if (!watched_.contains(dataset)) watches.Watch(dataset, client_.stream);
  }
  for (const std::string& dataset : watched_) {
    if (!wanted.contains(dataset)) watches.Unwatch(dataset, client_.stream);
  }
  watched_ = std::move(wanted);
}

void SotwRules::Leave(WatchIndex& watches) {
  for (const std::string& dataset : watched_) watches.Unwatch(dataset, client_.stream);
  watched_.clear();
}

common::Status SotwRules::OnCatalog(const CatalogChanges&, const Context&) {
  dirty_ = !channel_.subscription.empty();
  return common::OkStatus();
}

void SotwRules::OnCommitted(std::string_view dataset) {
  dirty_ = dirty_ || watched_.contains(dataset) || watched_.contains(WatchIndex::kEvery);
}

// --- responses --------------------------------------------------------------------------------

std::optional<common::MonotonicTime> SotwRules::WakeAt() const {
  return dirty_ ? std::optional(not_before_) : std::nullopt;
}

common::StatusOr<std::optional<Outgoing>> SotwRules::NextOfCollections(bool bulk,
                                                                       const Context& context) {
  if (bulk || !dirty_ || (!asked_ && context.now < not_before_)) return std::optional<Outgoing>();
  ASSIGN_OR_RETURN(Snapshot snapshot, Take(context));
  dirty_ = asked_ = false;
  not_before_ = context.now + common::kSotwInterval;
  std::string version = common::FormatDigest(common::EntryHash({}, {}, snapshot.identities));
  if (version == channel_.sent_version) return std::optional<Outgoing>();
  channel_.sent_version = version;
  Outgoing out;
  out.version = std::move(version);
  out.pieces = std::move(snapshot.pieces);
  for (std::string* const part : {&snapshot.named, &snapshot.errors}) {
    if (part->empty()) continue;
    out.pieces.push_back(std::make_shared<const std::string>(std::move(*part)));
  }
  return out;
}

common::StatusOr<SotwRules::Snapshot> SotwRules::Take(const Context& context) {
  Snapshot snapshot;
  const std::set<common::Collection> collections = Collections(context, snapshot);
  if (collections.size() > common::kCollectionsPerStreamMax) {
    return common::Error(common::StatusCode::kResourceExhausted,
                         "more than {} collections on a stream: use a further stream",
                         common::kCollectionsPerStreamMax);
  }
  for (const common::Collection& collection : collections) {
    RETURN_IF_ERROR(AddCollection(collection, context, snapshot));
  }
  const std::vector<std::string> members = names_->Members(context);
  std::set<std::string> names(members.begin(), members.end());
  for (const std::string& name : channel_.subscription.names()) {
    const auto parts = ParseCanonicalEntryName(name);
    const bool is_entry = channel_.type_url == common::kEntryType && parts;
    if (is_entry && (parts->is_collection || IsCovered(parts->dataset, parts->key, collections)))
      continue;
    names.insert(name);
  }
  for (const std::string& name : names) RETURN_IF_ERROR(AddName(name, context, snapshot));
  return snapshot;
}

std::set<common::Collection> SotwRules::Collections(const Context& context,
                                                    Snapshot& snapshot) const {
  std::set<common::Collection> all;
  if (channel_.type_url != common::kEntryType) return all;
  const auto access = [&](const std::string& dataset) {
    return context.catalog.CheckMayConsume(client_.service, dataset);
  };
  if (channel_.subscription.wildcard()) {
    for (const auto& [name, declared] : context.catalog.datasets) {
      if (access(name).ok()) all.insert({.dataset = name, .prefix = {}});
    }
  }
  const NameSet& names = channel_.subscription.names();
  for (const std::string_view name : std::set<std::string_view>(names.begin(), names.end())) {
    const auto parts = ParseCanonicalEntryName(name);
    if (!parts || !parts->is_collection) continue;
    const common::Status allowed = access(parts->dataset);
    if (allowed.ok()) {
      all.insert(CollectionOf(*parts));
    } else {
      const NamedAnswer refused = RefusedAnswer(name, allowed);
      snapshot.identities += common::FormatDigest(common::EntryHash(name, {}, refused.version));
      AppendSotwErrors(refused.fields, snapshot.errors);
    }
  }
  return WithoutCovered(all);
}

common::Status SotwRules::AddCollection(const common::Collection& collection,
                                        const Context& context, Snapshot& snapshot) const {
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state,
                   context.view.Dataset(collection.dataset));
  if (!state) return common::OkStatus();
  ASSIGN_OR_RETURN(
      const ChunkPtr chunk,
      context.chunks.Whole({.view = context.view, .collection = collection, .state = *state},
                           client_.wrapped));
  snapshot.entries += chunk->entries;
  snapshot.bytes += chunk->body->size();
  snapshot.identities += common::FormatDigest(chunk->digest);
  if (!chunk->body->empty()) snapshot.pieces.push_back(chunk->body);
  return CheckSize(snapshot);
}

common::Status SotwRules::AddName(std::string_view name, const Context& context,
                                  Snapshot& snapshot) {
  ASSIGN_OR_RETURN(const NamedAnswer answer, names_->Resolve(name, context));
  const std::size_t before = snapshot.named.size() + snapshot.errors.size();
  snapshot.identities += common::FormatDigest(common::EntryHash(name, {}, answer.version));
  AppendSotwResources(answer.fields, client_.wrapped, snapshot.named);
  if (snapshot.named.size() + snapshot.errors.size() == before) {
    AppendSotwErrors(answer.fields, snapshot.errors);
  }
  ++snapshot.entries;
  snapshot.bytes += snapshot.named.size() + snapshot.errors.size() - before;
  return CheckSize(snapshot);
}

common::Status SotwRules::CheckSize(const Snapshot& snapshot) const {
  if (snapshot.entries <= common::kSotwEntriesMax &&
      snapshot.bytes + kTrailerBytesMax <= common::kSotwBytesMax) {
    return common::OkStatus();
  }
  return common::Error(common::StatusCode::kResourceExhausted,
                       "more than {} resources or {} MiB of type {} are subscribed, the most that "
                       "state of the world carries: use DeltaAggregatedResources, or subscribe to "
                       "less",
                       common::kSotwEntriesMax, common::kSotwBytesMax / common::kMiB,
                       channel_.type_url);
}

}  // namespace cp
