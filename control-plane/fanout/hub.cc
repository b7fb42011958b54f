#include "control-plane/fanout/hub.h"

#include <algorithm>
#include <utility>

#include "common/entry.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/sotw_encoding.h"

namespace cp {
namespace {

template <class T>
std::vector<const T*> Differences(const std::map<std::string, Declared<T>, std::less<>>& before,
                                  const std::map<std::string, Declared<T>, std::less<>>& after) {
  std::vector<const T*> changed;
  for (const auto& [name, declared] : before) {
    const auto it = after.find(name);
    if (it == after.end() || it->second.object != declared.object) {
      changed.push_back(&declared.object);
    }
  }
  for (const auto& [name, declared] : after) {
    const auto it = before.find(name);
    if (it == before.end() || it->second.object != declared.object) {
      changed.push_back(&declared.object);
    }
  }
  return changed;
}

}  // namespace

Hub::Hub(HubOptions options, const common::Clock& clock, const Store& store, ResponseSink& sink)
    : options_(std::move(options)),
      clock_(clock),
      store_(store),
      sink_(sink),
      catalog_(store.catalog()),
      chunks_(store.epoch(), common::kChunkCacheBytesMax) {}

// --- events of one stream ---------------------------------------------------------------------

void Hub::OnOpened(StreamId stream, StreamInfo info) {
  ++counters_.streams_opened;
  const bool full = streams_.size() >= options_.streams_max;
  auto& added = streams_[stream];
  added = std::make_unique<ClientStream>(stream, std::move(info), clock_.Now());
  if (full) {
    Close(*added, common::Error(common::StatusCode::kUnavailable,
                                "{} streams are open, the most this control plane takes",
                                options_.streams_max));
  }
}

void Hub::OnRequest(StreamId id, common::StatusOr<Request> request) {
  ClientStream* const stream = Find(id);
  if (stream == nullptr) return;
  if (!request.ok()) return Close(*stream, request.status());
  InSnapshot(*stream, [&](const Context& context) -> common::Status {
    ASSIGN_OR_RETURN(const ClientStream::Answer answer, stream->OnRequest(*request, context));
    if (answer == ClientStream::Answer::kAck) ++counters_.acks;
    if (answer == ClientStream::Answer::kNack) OnNack(*stream, request->message);
    return Pump(*stream, context);
  });
  if (!stream->closing) sink_.ReadNext(id);
}

void Hub::OnNack(const ClientStream& stream, const common::DeltaRequest& request) {
  ++counters_.nacks;
  sink_.OnNack(stream.client().stream, {.service = stream.client().service,
                                        .instance = stream.node().instance,
                                        .type_url = request.type_url,
                                        .message = request.error->message});
}

void Hub::OnWriteDone(StreamId id, bool ok) {
  ClientStream* const stream = Find(id);
  if (stream == nullptr || !ok) return;  // a stream that cannot be written to is about to close
  stream->writing = false;
  InSnapshot(*stream, [&](const Context& context) { return Pump(*stream, context); });
}

void Hub::OnClosed(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  it->second->Leave(watches_);
  SetTimer(*it->second, std::nullopt);
  streams_.erase(it);
}

void Hub::Drain() {
  for (const auto& [id, stream] : streams_) {
    if (stream->closing) continue;
    Close(*stream, common::Error(common::StatusCode::kUnavailable, "shutting down"));
  }
}

ClientStream* Hub::Find(StreamId id) {
  const auto it = streams_.find(id);
  return it == streams_.end() || it->second->closing ? nullptr : it->second.get();
}

void Hub::Close(ClientStream& stream, const common::Status& status) {
  stream.closing = true;
  SetTimer(stream, std::nullopt);
  sink_.Close(stream.client().stream, status);
}

Context Hub::ContextOf(const View& view, std::size_t& scans_left) {
  return {.catalog = *catalog_,
          .view = view,
          .epoch = store_.epoch(),
          .chunks = chunks_,
          .watches = watches_,
          .tables = tables_,
          .unix_ms = clock_.UnixMillis(),
          .now = clock_.Now(),
          .scans_left = scans_left};
}

void Hub::InSnapshot(ClientStream& stream,
                     const std::function<common::Status(const Context&)>& work) {
  std::size_t scans_left = common::kScanEntriesPerTurn;
  InSnapshot(stream, scans_left, work);
}

void Hub::InSnapshot(ClientStream& stream, std::size_t& scans_left,
                     const std::function<common::Status(const Context&)>& work) {
  const auto view = store_.OpenView();
  common::Status status =
      view.ok() ? work(ContextOf(**view, scans_left))
                : common::Error(common::StatusCode::kUnavailable, "cannot read the store: {}",
                                common::Message(view.status()));
  if (!status.ok()) Close(stream, status);
}

common::Status Hub::Pump(ClientStream& stream, const Context& context) {
  if (stream.writing || stream.closing) return common::OkStatus();
  ASSIGN_OR_RETURN(std::optional<ClientStream::Ready> ready, stream.Next(context));
  SetTimer(stream, ready ? std::nullopt : stream.wake_at());
  if (ready) Send(stream, *std::move(ready));
  return common::OkStatus();
}

void Hub::SetTimer(ClientStream& stream, std::optional<common::MonotonicTime> time) {
  const StreamId id = stream.client().stream;
  if (stream.timer) timers_.erase({*stream.timer, id});
  stream.timer = time;
  if (time) timers_.emplace(*time, id);
}

std::optional<common::MonotonicTime> Hub::NextStep() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

void Hub::Step() {
  const common::MonotonicTime now = clock_.Now();
  std::vector<StreamId> due;
  for (const auto& [time, id] : timers_) {
    if (time > now) break;
    due.push_back(id);
  }
  std::size_t scans_left = common::kScanEntriesPerTurn;  // of all of them; then come other events
  for (const StreamId id : due) {
    ClientStream* const stream = Find(id);
    if (stream == nullptr) continue;
    InSnapshot(*stream, scans_left, [&](const Context& context) { return Pump(*stream, context); });
    if (scans_left == 0) break;
  }
}

void Hub::Send(ClientStream& stream, ClientStream::Ready ready) {
  SentResponse& sent = ready.out.sent;
  sent.nonce = stream.NewNonce();
  sent.sent_at = clock_.Now();
  const std::string& type_url = ready.channel->type_url;
  const std::string nonce = std::to_string(sent.nonce);
  std::string trailer;
  if (stream.client().variant == Variant::kSotw) {
    AppendSotwTrailer(type_url, ready.out.version, nonce, options_.identifier, trailer);
  } else {
    common::AppendResponseTrailer(type_url, ready.out.version, nonce, options_.identifier, trailer);
  }
  Response response{.pieces = std::move(ready.out.pieces)};
  response.pieces.push_back(std::make_shared<const std::string>(std::move(trailer)));
  sent.bytes = response.bytes();
  ++counters_.responses;
  counters_.response_bytes += sent.bytes;
  ready.channel->window.Add(std::move(sent));
  stream.writing = true;
  sink_.Send(stream.client().stream, std::move(response));
}

// --- commits ----------------------------------------------------------------------------------

CatalogChanges Hub::TakeCatalog(CatalogPtr catalog) {
  CatalogChanges changes;
  if (catalog == nullptr) return changes;
  for (const common::Dataset* dataset : Differences(catalog_->datasets, catalog->datasets)) {
    changes.datasets.insert(dataset->name);
  }
  for (const common::Subscription* subscription :
       Differences(catalog_->subscriptions, catalog->subscriptions)) {
    changes.services.insert(subscription->service);
  }
  catalog_ = std::move(catalog);
  return changes;
}

// Streams that subscribed by name to what changed in `dataset` since the last look.
common::Status Hub::MatchKeys(const std::string& dataset, const View& view,
                              std::vector<StreamId>& concerned) {
  WatchIndex::Keys* const keys = watches_.FindKeys(dataset);
  if (keys == nullptr) return common::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view.Dataset(dataset));
  if (!state) return common::OkStatus();
  const auto tell = [&](std::string_view key, const std::vector<StreamId>& streams) {
    for (const StreamId id : streams) {
      ClientStream* const stream = Find(id);
      if (stream == nullptr) continue;
      stream->OnKeyChanged(dataset, key);
      concerned.push_back(id);
    }
  };
  if (keys->scanned < EndOf(state->floor)) {  // some removals are no longer known
    for (const auto& [key, streams] : keys->streams) tell(key, streams);
  } else {
    RETURN_IF_ERROR(view.ScanChanges(state->id, {}, keys->scanned, [&](const Stored& change) {
      const auto it = keys->streams.find(change.key);
      if (it != keys->streams.end()) tell(change.key, it->second);
      return true;
    }));
  }
  keys->scanned = EndOf(state->head);
  return common::OkStatus();
}

std::vector<StreamId> Hub::Concerned(const std::vector<std::string>& datasets,
                                     const CatalogChanges& changes, const Context& context) {
  std::vector<StreamId> concerned;
  for (const std::string& dataset : datasets) {
    watches_.ForEach(dataset, [&](StreamId id) {
      ClientStream* const stream = Find(id);
      if (stream == nullptr) return;
      stream->OnCommitted(dataset);
      concerned.push_back(id);
    });
    // A store that cannot be read now is read again at the next commit.
    if (!MatchKeys(dataset, context.view, concerned).ok()) continue;
  }
  if (!changes.datasets.empty() || !changes.services.empty()) {
    for (const auto& [id, stream] : streams_) {
      if (stream->closing) continue;
      const common::Status status = stream->OnCatalog(changes, context);
      if (!status.ok()) Close(*stream, status);
      concerned.push_back(id);
    }
  }
  std::ranges::sort(concerned);
  concerned.erase(std::unique(concerned.begin(), concerned.end()), concerned.end());
  return concerned;
}

void Hub::OnCommitted(const std::vector<std::string>& datasets, CatalogPtr catalog) {
  const CatalogChanges changes = TakeCatalog(std::move(catalog));
  const auto view = store_.OpenView();
  if (!view.ok()) {
    Drain();  // nobody could be told; the agents go elsewhere or come back
    return;
  }
  std::size_t scans_left = common::kScanEntriesPerTurn;
  const Context context = ContextOf(**view, scans_left);
  for (const StreamId id : Concerned(datasets, changes, context)) {
    ClientStream* const stream = Find(id);
    if (stream == nullptr) continue;
    const common::Status status = Pump(*stream, context);
    if (!status.ok()) Close(*stream, status);
  }
}

// --- status -----------------------------------------------------------------------------------

namespace {

CopyRow RowOf(const ClientStream& stream, const CollectionFeed& feed, Revision head) {
  CopyRow row{.service = stream.client().service,
              .instance = stream.node().instance,
              .dataset = feed.collection().dataset,
              .prefix = feed.collection().prefix,
              .state = feed.acked ? "SYNCED" : "SYNCING",
              .digest = "unknown",
              .revision = feed.acked.value_or(0),
              .head = head};
  const ClientStream::Proof* const proof = stream.FindProof(row.dataset);
  if (proof == nullptr || !feed.acked || proof->revision > *feed.acked) return row;
  if (proof->accepted) row.proven_at = proof->sent_at;
  // Only a whole copy at the same revision can be compared.
  if (proof->revision == *feed.acked && row.prefix.empty()) {
    row.digest = proof->accepted ? "ok" : "mismatch";
  }
  return row;
}

// How long ago the oldest change behind `revision` was committed; 0: there is none.
std::int64_t LagMillis(const View& view, const DatasetState& state, const CollectionFeed& feed,
                       Revision revision, std::int64_t now_ms) {
  if (revision >= state.head) return 0;
  std::int64_t lag_ms = 0;
  const common::Status scanned = view.ScanChanges(
      state.id, feed.collection().prefix, EndOf(revision), [&](const Stored& change) {
        const std::int64_t at_ms = change.resource.empty()
                                       ? change.removed_ms
                                       : common::EntryOfResource(change.resource).published_at_ms;
        lag_ms = std::max<std::int64_t>(now_ms - at_ms, 1);
        return false;
      });
  return scanned.ok() ? lag_ms : 0;
}

}  // namespace

HubStatus Hub::Status() const {
  HubStatus status;
  const auto view = store_.OpenView();
  for (const auto& [id, stream] : streams_) {
    if (stream->client().service.empty()) continue;  // has not said who it is yet
    status.agents.push_back({.service = stream->client().service,
                             .instance = stream->node().instance,
                             .peer = stream->info().peer,
                             .user_agent = stream->node().user_agent,
                             .connected_since = stream->connected_since(),
                             .unacked_bytes = stream->unacked_bytes()});
    if (stream->entries() == nullptr) continue;
    for (const auto& [collection, feed] : stream->entries()->feeds()) {
      if (feed.phase() == CollectionFeed::Phase::kDenied) continue;
      const auto state = view.ok() ? (*view)->Dataset(collection.dataset) : view.status();
      const bool known = state.ok() && state->has_value();
      CopyRow row = RowOf(*stream, feed, known ? (*state)->head : 0);
      if (known) {
        row.lag_ms = LagMillis(**view, **state, feed, row.revision, clock_.UnixMillis());
      }
      status.copies.push_back(std::move(row));
    }
  }
  return status;
}

HubCounters Hub::counters() const {
  HubCounters counters = counters_;
  counters.encode_cache_hits = chunks_.hits();
  counters.encode_cache_misses = chunks_.misses();
  return counters;
}

std::size_t Hub::unacked_bytes() const {
  std::size_t sum = 0;
  for (const auto& [id, stream] : streams_) sum += stream->unacked_bytes();
  return sum;
}

}  // namespace cp
