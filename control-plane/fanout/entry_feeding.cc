// The part of EntryRules that reads feeds from the store.
#include "control-plane/fanout/entry_rules.h"

#include <utility>

#include "common/entry.h"
#include "control-plane/fanout/entry_names.h"

namespace cp {
namespace {

using Phase = CollectionFeed::Phase;
using Why = NameQueue::Why;

Outgoing Wrap(const CollectionFeed& feed, SharedBytes body) {
  Outgoing out;
  out.sent.collection = feed.collection();
  if (!feed.markers()) out.sent.body = body;
  if (!body->empty()) out.pieces.push_back(std::move(body));
  return out;
}

Outgoing Begin(CollectionFeed& feed, Epoch epoch) {
  const common::Marker begin{.kind = common::Marker::Kind::kBegin,
                             .at = {.epoch = epoch, .revision = feed.load_revision()}};
  Outgoing out =
      Wrap(feed, std::make_shared<const std::string>(MarkerResource(feed.collection(), begin)));
  feed.BeginSent();
  return out;
}

void AppendMarker(const CollectionFeed& feed, std::string_view version, std::string& out) {
  common::AppendResourceField(common::CollectionName(feed.collection()), version,
                              common::kEntryType, {}, out);
}

Outgoing Question(CollectionFeed& feed, Epoch epoch) {
  std::string question;
  AppendMarker(feed, common::FormatQuestion(epoch, feed.table->digests().count()), question);
  feed.QuestionSent();
  return Wrap(feed, std::make_shared<const std::string>(std::move(question)));
}

Outgoing Repair(CollectionFeed& feed, Epoch epoch) {
  std::string markers;
  AppendMarker(feed, common::FormatRepair({.epoch = epoch, .revision = feed.load_revision()}),
               markers);
  for (const auto& [name, mask] : feed.differing()->Encode(feed.collection())) {
    common::AppendResourceField(name, mask, common::kEntryType, {}, markers);
  }
  Outgoing out = Wrap(feed, std::make_shared<const std::string>(std::move(markers)));
  feed.RepairSent();
  return out;
}

// One step of filling the table; nothing is sent.
common::StatusOr<Outgoing> Prepare(CollectionFeed& feed, const CollectionView& source,
                                   const Context& context) {
  if (feed.table == nullptr) feed.table = context.tables.Get(source);
  RETURN_IF_ERROR(feed.table->Step(source, context.scans_left));
  if (feed.table->complete()) feed.TableFilled(feed.table->from());
  return Outgoing();
}

common::StatusOr<ChunkPtr> ReadByKey(CollectionFeed& feed, const CollectionView& source,
                                     const Context& context) {
  ChunkSource& chunks = context.chunks;
  if (feed.phase() == Phase::kRetract) return chunks.Retract(source, feed.last_key());
  if (feed.differing() != nullptr) {
    return chunks.LoadBuckets(source, feed.last_key(), *feed.differing(), context.scans_left);
  }
  if (!feed.known().empty()) {
    return chunks.LoadUnknown(source, feed.last_key(), feed.known(), context.scans_left);
  }
  return chunks.Load(source, feed.last_key(), feed.load_revision());
}

common::StatusOr<Outgoing> Load(CollectionFeed& feed, const CollectionView& source,
                                const Context& context) {
  ASSIGN_OR_RETURN(const ChunkPtr chunk, ReadByKey(feed, source, context));
  Outgoing out = Wrap(feed, chunk->body);
  feed.LoadSent(chunk->last_key, chunk->reached_end);
  return out;
}

// `packed`: the client takes what it missed deflated; live changes go as they are.
common::StatusOr<Outgoing> Follow(CollectionFeed& feed, const CollectionView& source, bool packed,
                                  ChunkSource& chunks) {
  ASSIGN_OR_RETURN(const ChunkPtr chunk, packed&& feed.bulk()
                                             ? chunks.PackedChanges(source, feed.position())
                                             : chunks.Changes(source, feed.position()));
  Outgoing out = Wrap(feed, chunk->body);
  if (chunk->reached_end) {
    // A bookmark is due even if none of the changes was in the collection.
    const bool moved = feed.owes_marker() || feed.position() < EndOf(chunk->head);
    if (feed.markers() && moved) out.pieces.push_back(chunk->marker);
    out.sent.complete_to = chunk->head;
  }
  feed.ChangesSent(chunk->last, chunk->reached_end, chunk->head);
  return out;
}

common::StatusOr<Outgoing> Read(CollectionFeed& feed, const CollectionView& source,
                                const Client& client, const Context& context) {
  switch (feed.phase()) {
    case Phase::kPrepare:
      return Prepare(feed, source, context);
    case Phase::kAsk:
      return Question(feed, context.epoch);
    case Phase::kRepair:
      return Repair(feed, context.epoch);
    case Phase::kBegin:
      return Begin(feed, context.epoch);
    case Phase::kLoad:
    case Phase::kRetract:
      return Load(feed, source, context);
    case Phase::kForget: {
      const auto all = [](std::string_view) { return true; };
      Outgoing out = Wrap(feed, context.chunks.Forget(feed.known(), all, context.scans_left));
      feed.ForgetSent();
      return out;
    }
    case Phase::kFollow:
      return Follow(feed, source, client.packed, context.chunks);
    case Phase::kDenied:
    case Phase::kAwait:
      break;
  }
  return Outgoing();
}

// The tombstones that the feed needs may be gone.
common::Status CheckHistory(CollectionFeed& feed, const DatasetState& state, Epoch epoch) {
  if (!feed.NeedsHistory() || !feed.BelowFloor(state.floor)) return common::OkStatus();
  if (!feed.markers()) {
    return common::Error(common::StatusCode::kUnavailable,
                         "too far behind in {}: removals are no longer known; connect again with "
                         "initial_resource_versions",
                         common::CollectionName(feed.collection()));
  }
  feed.Start(epoch, state, std::nullopt);
  return common::OkStatus();
}

}  // namespace

void EntryRules::OnCommitted(std::string_view dataset) {
  for (auto it = feeds_.lower_bound({.dataset = std::string(dataset), .prefix = {}});
       it != feeds_.end() && it->first.dataset == dataset; ++it) {
    it->second.Touch();
  }
}

bool EntryRules::TakeDigests(const common::Collection& collection, const InitialVersions& versions,
                             const Context& context) {
  const auto feed = feeds_.find(collection);
  if (feed == feeds_.end() || feed->second.phase() != Phase::kAwait) return false;
  if (versions.Find(common::CollectionName(collection))) return false;  // a cursor after all
  const auto state = context.view.Dataset(collection.dataset);
  if (!state.ok() || !*state) return false;
  const common::BucketDigests& own = feed->second.table->digests();
  const auto theirs = common::BucketDigests::Decode(
      collection, own.count(),
      [&versions](const std::string& name) { return versions.Find(name); });
  feed->second.StartRepair(
      **state, theirs ? std::optional(common::BucketSet::Difference(own, *theirs)) : std::nullopt);
  return true;
}

void EntryRules::OnKeyChanged(std::string_view dataset, std::string_view key) {
  if (FeedCovering(dataset, key) != nullptr) return;
  channel_.queue.Add(common::EntryName(dataset, key), Why::kChanged);
}

common::StatusOr<std::optional<Outgoing>> EntryRules::NextOfCollections(bool bulk,
                                                                        const Context& context) {
  turn_wanted_.reset();
  auto it = feeds_.upper_bound(last_fed_);
  for (std::size_t turn = 0; turn < feeds_.size(); ++turn, ++it) {
    if (it == feeds_.end()) it = feeds_.begin();
    CollectionFeed& feed = it->second;
    while (feed.HasWork() && (bulk || !feed.bulk())) {
      if (bulk && context.scans_left == 0) {
        turn_wanted_ = context.now;
        return std::optional<Outgoing>();
      }
      last_fed_ = it->first;
      ASSIGN_OR_RETURN(std::optional<Outgoing> out, Step(feed, context));
      if (out) return out;
    }
  }
  return bulk ? NextUncovered(context) : std::optional<Outgoing>();
}

// Removals of what the client held at first and cannot have any more.
std::optional<Outgoing> EntryRules::NextUncovered(const Context& context) {
  const auto wanted = [this](std::string_view name) {
    if (channel_.subscription.Contains(name)) return false;
    const auto parts = ParseCanonicalEntryName(name);
    if (!parts) return true;
    return !parts->is_collection && FeedCovering(parts->dataset, parts->key) == nullptr;
  };
  while (!uncovered_.empty()) {
    if (context.scans_left == 0) {
      turn_wanted_ = context.now;
      break;
    }
    SharedBytes body = context.chunks.Forget(uncovered_.back(), wanted, context.scans_left);
    if (uncovered_.back().empty()) uncovered_.pop_back();
    if (body->empty()) continue;
    Outgoing out;
    out.pieces.push_back(std::move(body));
    return out;
  }
  return std::nullopt;
}

common::StatusOr<std::optional<Outgoing>> EntryRules::Step(CollectionFeed& feed,
                                                           const Context& context) {
  const common::Collection& collection = feed.collection();
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state,
                   context.view.Dataset(collection.dataset));
  if (!state) {  // purged
    if (feed.phase() != Phase::kRetract) DenyFeed(feed, common::StatusCode::kNotFound);
    if (feed.phase() == Phase::kRetract) feed.LoadSent({}, true);  // nothing is left to list
    return std::optional<Outgoing>();
  }
  RETURN_IF_ERROR(CheckHistory(feed, *state, context.epoch));
  const CollectionView source{.view = context.view, .collection = collection, .state = *state};
  ASSIGN_OR_RETURN(Outgoing out, Read(feed, source, client_, context));
  if (!out.pieces.empty()) return out;
  if (out.sent.complete_to && !feed.markers()) feed.acked = out.sent.complete_to;
  return std::optional<Outgoing>();
}

void EntryRules::OnAccepted(const SentResponse& response) {
  const auto it = feeds_.find(response.collection);
  if (it == feeds_.end() || !response.complete_to) return;
  if (it->second.phase() == Phase::kFollow) it->second.acked = response.complete_to;
}

}  // namespace cp
