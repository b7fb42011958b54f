// EntryRules: entries on one stream – by collection, by name, by "*" (every dataset that the
// service may consume).
//
// Thread: hub.  Lifetime: one stream; the channel outlives it.
// Collections are fed from positions (CollectionFeed), names from the channel's queue. A name that
// a feed of the same stream covers is not queued when it changes: the feed brings it.
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "control-plane/fanout/channel.h"
#include "control-plane/fanout/collection_feed.h"

namespace cp {

class EntryRules final : public TypeRules {
 public:
  using Feeds = std::map<common::Collection, CollectionFeed>;

  EntryRules(const Client& client, Channel& channel) : client_(client), channel_(channel) {}

  common::Status OnSubscribe(const Subscription::Change& change, InitialVersions& versions,
                             const Context& context) override;
  common::StatusOr<NamedAnswer> Resolve(std::string_view name, const Context& context) override;
  bool IsNews(std::string_view name, const NamedAnswer& answer) const override;
  common::Status OnCatalog(const CatalogChanges& changes, const Context& context) override;
  void OnCommitted(std::string_view dataset) override;
  common::StatusOr<std::optional<Outgoing>> NextOfCollections(bool bulk,
                                                              const Context& context) override;
  std::optional<common::MonotonicTime> WakeAt() const override { return turn_wanted_; }
  void OnAccepted(const SentResponse& response) override;
  void Leave(WatchIndex& watches) override;

  // A commit changed an entry that is subscribed by name.
  void OnKeyChanged(std::string_view dataset, std::string_view key);

  const Feeds& feeds() const { return feeds_; }

 private:
  // Names of one dataset.
  struct Keys {
    std::size_t count = 0;
    common::StatusCode access = common::StatusCode::kOk;  // as last told
  };

  common::Status Ask(const std::string& name, bool first, const InitialVersions& versions,
                     const Context& context);
  common::Status AskCollection(const common::Collection& collection,
                               const std::optional<common::Cursor>& resume, const Context& context);
  // True: the collection awaited the agent's digests, and this is the answer.
  bool TakeDigests(const common::Collection& collection, const InitialVersions& versions,
                   const Context& context);
  common::Status AskKey(const common::EntryNameParts& parts, const Context& context);
  common::Status AskWildcard(const InitialVersions& versions, const Context& context);
  void Drop(const std::string& name, const Context& context);
  void DropKey(const common::EntryNameParts& parts, const Context& context);
  void DropWildcard(const Context& context);
  void EraseFeed(Feeds::iterator it, WatchIndex& watches);
  // What a client without the cursor feature says it holds.
  void TakeVersions(InitialVersions& versions);
  void TakeVersionsOf(const std::string& dataset, KnownVersions held);

  common::StatusOr<Feeds::iterator> FindOrAddFeed(const common::Collection& collection,
                                                  WatchIndex& watches);
  common::Status StartFeed(CollectionFeed& feed, const std::optional<common::Cursor>& resume,
                           const Context& context);
  void DenyFeed(CollectionFeed& feed, common::StatusCode why);
  common::Status ReviewFeed(CollectionFeed& feed, const Context& context);
  common::Status ReviewWildcard(const std::string& dataset, const Context& context);
  void ReviewKeys(const std::string& dataset, const Context& context);

  common::StatusOr<NamedAnswer> ResolveCollection(std::string_view name,
                                                  const common::EntryNameParts& parts,
                                                  const Context& context);
  common::StatusOr<NamedAnswer> ResolveKey(std::string_view name,
                                           const common::EntryNameParts& parts,
                                           const Context& context);
  CollectionFeed* FeedCovering(std::string_view dataset, std::string_view key);

  std::optional<Outgoing> NextUncovered(const Context& context);
  // The next response of one feed; absent when its step has nothing to say.
  common::StatusOr<std::optional<Outgoing>> Step(CollectionFeed& feed, const Context& context);

  const Client& client_;
  Channel& channel_;
  Feeds feeds_;
  common::Collection last_fed_;  // feeds take turns
  std::map<std::string, Keys, std::less<>> keys_;
  std::vector<KnownVersions> uncovered_;              // held by the client at first, to be removed
  std::optional<common::MonotonicTime> turn_wanted_;  // since when a scan waits to go on
};

}  // namespace cp
