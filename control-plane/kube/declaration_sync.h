// DeclarationSync: makes the catalog follow the cluster's custom resources, and says on each object
// what became of it.
//
// Thread: one owner.  Lifetime: value; no I/O, no clock: time and facts are passed in.
// Each object is a change of its own, so that a bad one holds up no other. Nothing is withdrawn
// before both kinds have been listed whole.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "control-plane/fanout/hub.h"
#include "control-plane/kube/reflector.h"
#include "control-plane/store/store.h"

namespace cp {

// Keyed by namespace and name; std::map keeps the order of patches stable.
struct ObjectKey {
  std::string kind;  // "Dataset" | "Subscription"
  std::string space;
  std::string name;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

struct StatusPatch {
  ObjectKey key;
  std::string path;
  std::string body;  // merge patch
};

class DeclarationSync {
 public:
  void OnEvent(const KubeEvent& event);
  bool listed() const { return datasets_listed_ && subscriptions_listed_; }

  struct Change {
    ObjectKey key;  // with an empty name: withdrawals
    DeclarationChange change;
  };
  // What the catalog lacks, or holds and should not.
  std::vector<Change> Plan(const Catalog& catalog) const;
  // What became of a change; a refusal is shown on the object and tried again when things change.
  void OnOutcome(const Change& change, const common::Status& outcome);

  // Patches for objects whose status should read otherwise; at most `max`. `now`: RFC 3339. After
  // a patch was taken, OnPatched; a patch that failed comes again.
  std::vector<StatusPatch> Statuses(const Catalog& catalog, const View& view, const HubStatus& hub,
                                    const std::string& now, std::size_t max);
  void OnPatched(const StatusPatch& patch);

  std::size_t objects() const { return objects_.size(); }
  std::size_t refused() const;

 private:
  struct Object {
    std::int64_t generation = 0;
    nlohmann::json status = {};  // as the server has it
    common::StatusOr<common::Declaration> declaration;
    common::Status refusal = {};  // of the committer
  };

  void Put(const std::string& kind, const nlohmann::json& object);
  nlohmann::json StatusOf(const ObjectKey& key, const Object& object, const Catalog& catalog,
                          const View& view, const HubStatus& hub, const std::string& now) const;

  bool datasets_listed_ = false;
  bool subscriptions_listed_ = false;
  std::map<ObjectKey, Object> objects_;
  ObjectKey last_ = {};  // whose status was looked at last
};

}  // namespace cp
