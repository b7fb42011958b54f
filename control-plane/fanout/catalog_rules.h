// CatalogRules: the types whose members are few and known from the catalog – DatasetState and
// Subscription – and types that the server does not serve.
//
// Thread: hub.  Lifetime: one stream and type; the channel outlives it.
#pragma once

#include "control-plane/fanout/channel.h"

namespace cp {

// By dataset name; "*" is every dataset that the service may consume. A client with the cursor
// feature asks when it wants to know and is not told of each commit.
class StateRules final : public TypeRules {
 public:
  StateRules(const Client& client, Channel& channel) : client_(client), channel_(channel) {}

  common::Status OnSubscribe(const Subscription::Change& change, InitialVersions& versions,
                             const Context& context) override;
  common::StatusOr<NamedAnswer> Resolve(std::string_view name, const Context& context) override;
  bool IsNews(std::string_view name, const NamedAnswer& answer) const override;
  common::Status OnCatalog(const CatalogChanges& changes, const Context& context) override;
  void OnCommitted(std::string_view dataset) override;
  common::StatusOr<std::optional<Outgoing>> NextOfCollections(bool, const Context&) override {
    return std::optional<Outgoing>();
  }
  std::vector<std::string> Members(const Context& context) const override;
  void OnAccepted(const SentResponse&) override {}
  void Leave(WatchIndex& watches) override;

 private:
  void AddWatches(const Subscription::Change& change, WatchIndex& watches);
  void DropWatches(const Subscription::Change& change, WatchIndex& watches);

  const Client& client_;
  Channel& channel_;
  NameSet watched_;  // datasets, by name
  bool watches_every_ = false;
};

// The service's own subscriptions: by name, by the glob of the service, or "*".
class SubscriptionRules final : public TypeRules {
 public:
  SubscriptionRules(const Client& client, Channel& channel)
      : client_(client), channel_(channel), glob_(common::SubscriptionName(client.service, "*")) {}

  common::Status OnSubscribe(const Subscription::Change& change, InitialVersions& versions,
                             const Context& context) override;
  common::StatusOr<NamedAnswer> Resolve(std::string_view name, const Context& context) override;
  bool IsNews(std::string_view name, const NamedAnswer& answer) const override;
  common::Status OnCatalog(const CatalogChanges& changes, const Context& context) override;
  void OnCommitted(std::string_view) override {}
  common::StatusOr<std::optional<Outgoing>> NextOfCollections(bool, const Context&) override {
    return std::optional<Outgoing>();
  }
  std::vector<std::string> Members(const Context& context) const override;
  void OnAccepted(const SentResponse&) override {}
  void Leave(WatchIndex&) override {}

 private:
  bool Covers(std::string_view name) const;

  const Client& client_;
  Channel& channel_;
  const std::string glob_;
};

// A type that is not served: its names do not exist, its wildcard is empty.
class UnknownRules final : public TypeRules {
 public:
  explicit UnknownRules(Channel& channel) : channel_(channel) {}

  common::Status OnSubscribe(const Subscription::Change& change, InitialVersions& versions,
                             const Context& context) override;
  common::StatusOr<NamedAnswer> Resolve(std::string_view name, const Context&) override {
    return RemovedAnswer(name);
  }
  bool IsNews(std::string_view, const NamedAnswer&) const override { return true; }
  common::Status OnCatalog(const CatalogChanges&, const Context&) override {
    return common::OkStatus();
  }
  void OnCommitted(std::string_view) override {}
  common::StatusOr<std::optional<Outgoing>> NextOfCollections(bool, const Context&) override {
    return std::optional<Outgoing>();
  }
  void OnAccepted(const SentResponse&) override {}
  void Leave(WatchIndex&) override {}

 private:
  Channel& channel_;
};

}  // namespace cp
