// Channel: the protocol state that every type on a delta stream has, and TypeRules: what differs
// between types.
//
// Thread: hub.  Lifetime: one stream and type.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "control-plane/fanout/ack_window.h"
#include "control-plane/fanout/bucket_table.h"
#include "control-plane/fanout/chunk_source.h"
#include "control-plane/fanout/initial_versions.h"
#include "control-plane/fanout/name_queue.h"
#include "control-plane/fanout/request.h"
#include "control-plane/fanout/subscription.h"
#include "control-plane/fanout/watch_index.h"

namespace cp {

// Who is at the other end; constant once the first request has come.
struct Client {
  StreamId stream = 0;
  std::string service;
  Variant variant = Variant::kDelta;
  bool cursors = false;  // client feature tributary.cursor.v1: an agent
  bool buckets = false;  // client feature tributary.buckets.v1: repair by digests
  bool packed = false;   // client feature tributary.packed.v1: takes what it missed deflated
  bool wrapped = false;  // state of the world: resources come inside a Resource, which has the name
};

// What the hub works with during one event. The view is the snapshot of that event.
struct Context {
  const Catalog& catalog;
  const View& view;
  Epoch epoch = 0;
  ChunkSource& chunks;
  WatchIndex& watches;
  BucketTables& tables;
  std::int64_t unix_ms = 0;
  common::MonotonicTime now;
  // Entries that may still be looked at without being sent before other streams have their turn.
  std::size_t& scans_left;
};

// What a change of the catalog touched, by name.
struct CatalogChanges {
  NameSet datasets;
  NameSet services;  // whose subscriptions changed
};

// The answer to one name.
struct NamedAnswer {
  // Response fields to be spliced; empty: nothing needs to be said.
  std::string fields = {};
  // Tells whether the client knows the answer already: the resource's version, "" when it does not
  // exist, "!<code>" when it is refused.
  std::string version = {};
  std::optional<SentState> state = {};
};
// The resource exists.
NamedAnswer ResourceAnswer(std::string_view name, std::string_view version,
                           std::string_view type_url, std::string_view payload);
// It does not.
NamedAnswer RemovedAnswer(std::string_view name);
// It does not, and `why` says what to do: resource_errors, and removed_resources for older clients.
NamedAnswer RefusedAnswer(std::string_view name, const common::Status& why);

// A response but for its trailer.
struct Outgoing {
  std::vector<SharedBytes> pieces;
  SentResponse sent;
  // State of the world: version_info. Delta: system_version_info; an agent takes what is removed by
  // name for absent as of then.
  std::string version = {};
};

struct Channel {
  Channel(std::string type, std::size_t names_max, std::uint64_t seed)
      : type_url(std::move(type)), subscription(names_max), queue(seed) {}

  const std::string type_url;
  Subscription subscription;
  NameQueue queue;
  AckWindow window;
  // Name → version that the client holds, as far as it matters.
  std::unordered_map<std::string, std::string, TextHash, std::equal_to<>> known;
  // A collection or "*" was subscribed and nothing has been sent since: if there is nothing to
  // send, an empty response says so.
  bool owes_answer = false;
  // State of the world: version_info of the last response, or at first of what the client holds.
  std::string sent_version = {};
};

class TypeRules {
 public:
  TypeRules() = default;
  TypeRules(const TypeRules&) = delete;
  TypeRules& operator=(const TypeRules&) = delete;
  virtual ~TypeRules() = default;

  // `change` has been applied to the channel's subscription; queue what must be answered.
  // `versions`: what the client says it holds; take from it what is worth keeping.
  virtual common::Status OnSubscribe(const Subscription::Change& change, InitialVersions& versions,
                                     const Context& context) = 0;
  virtual common::StatusOr<NamedAnswer> Resolve(std::string_view name, const Context& context) = 0;
  // Should a changed name be said, given what the client knows?
  virtual bool IsNews(std::string_view name, const NamedAnswer& answer) const = 0;
  virtual common::Status OnCatalog(const CatalogChanges& changes, const Context& context) = 0;
  // A commit changed `dataset`, which this stream watches.
  virtual void OnCommitted(std::string_view dataset) = 0;
  // The next response of a collection; `bulk`: first loads too, otherwise live changes only.
  virtual common::StatusOr<std::optional<Outgoing>> NextOfCollections(bool bulk,
                                                                      const Context& context) = 0;
  // Names that are covered without being subscribed themselves, where they are few.
  virtual std::vector<std::string> Members(const Context&) const { return {}; }
  // When NextOfCollections should be asked again though nothing happens; absent: no need.
  virtual std::optional<common::MonotonicTime> WakeAt() const { return std::nullopt; }
  // The client took a collection's response.
  virtual void OnAccepted(const SentResponse& response) = 0;
  // The stream ends: leave the index.
  virtual void Leave(WatchIndex& watches) = 0;
};

}  // namespace cp
