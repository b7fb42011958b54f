// SotwRules: one type on a state-of-the-world stream. Each response holds everything that is
// subscribed; what is absent does not exist.
//
// Thread: hub.  Lifetime: one stream and type; client and channel outlive it.
// version_info is a digest of what the response says, so it is the same on every replica and after
// every restart, and a client that has it need not be told again.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control-plane/fanout/channel.h"

namespace cp {

class SotwRules final : public TypeRules {
 public:
  // `names` answers single names as in the delta variant.
  SotwRules(const Client& client, Channel& channel, std::unique_ptr<TypeRules> names)
      : client_(client), channel_(channel), names_(std::move(names)) {}

  common::Status OnSubscribe(const Subscription::Change& change, InitialVersions& versions,
                             const Context& context) override;
  common::StatusOr<NamedAnswer> Resolve(std::string_view name, const Context& context) override {
    return names_->Resolve(name, context);
  }
  bool IsNews(std::string_view, const NamedAnswer&) const override { return false; }
  common::Status OnCatalog(const CatalogChanges& changes, const Context& context) override;
  void OnCommitted(std::string_view dataset) override;
  // RESOURCE_EXHAUSTED: more is subscribed than this variant carries.
  common::StatusOr<std::optional<Outgoing>> NextOfCollections(bool bulk,
                                                              const Context& context) override;
  std::optional<common::MonotonicTime> WakeAt() const override;
  void OnAccepted(const SentResponse&) override {}
  void Leave(WatchIndex& watches) override;

 private:
  // Everything that is subscribed, as it is now.
  struct Snapshot {
    std::vector<SharedBytes> pieces;
    std::string named;       // resources that were asked for by name
    std::string errors;      // what of it is missing or refused
    std::string identities;  // digests of all that is said, but for the time of it
    std::size_t entries = 0;
    std::size_t bytes = 0;
  };

  common::StatusOr<Snapshot> Take(const Context& context);
  // Collections that are subscribed and may be read, without those that others cover.
  std::set<common::Collection> Collections(const Context& context, Snapshot& snapshot) const;
  common::Status AddCollection(const common::Collection& collection, const Context& context,
                               Snapshot& snapshot) const;
  common::Status AddName(std::string_view name, const Context& context, Snapshot& snapshot);
  common::Status CheckSize(const Snapshot& snapshot) const;
  void Watch(WatchIndex& watches);

  const Client& client_;
  Channel& channel_;
  const std::unique_ptr<TypeRules> names_;
  std::set<std::string, std::less<>> watched_;  // datasets; WatchIndex::kEvery: all
  bool asked_ = false;                          // the client waits for an answer
  bool dirty_ = false;                          // something may have changed
  common::MonotonicTime not_before_{};
};

}  // namespace cp
