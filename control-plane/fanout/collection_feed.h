// CollectionFeed: where one stream stands in one collection. Decides what is to be read next; the
// reader tells it how far it came.
//
// Thread: hub.  Lifetime: one collection on one stream; pure, no store, clock or lock.
//
//           Start                   Start (cursor at a key)        Start (cursor)
//             v                             v                           v
//   kBegin (marker b1.S0) ------------> kLoad (key order) ----> kFollow (changes behind S0 …)
//
// A cursor that cannot be used, from an agent that knows repair by digests:
//
//   kPrepare (own digests) -> kAsk (question) -> kAwait -> kRepair -> kLoad (marked buckets)
//
// A complete marker is due whenever a scan of changes came to the end of its snapshot: only then is
// what the client holds equal to the dataset at that head. A client without the cursor feature gets
// no markers and starts in kLoad.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/buckets.h"
#include "common/names.h"
#include "common/version.h"
#include "control-plane/fanout/initial_versions.h"
#include "control-plane/store/store.h"

namespace cp {

class BucketTable;

class CollectionFeed {
 public:
  enum class Phase {
    kDenied,   // not declared or not granted: nothing to send until that changes
    kPrepare,  // the table of digests is to be filled, a step at a time
    kAsk,      // the question for the agent's digests is due
    kAwait,    // the agent has been asked
    kRepair,   // the repair markers are due
    kBegin,    // the begin marker is due
    kLoad,     // entries in key order
    kForget,   // removals of what the client knew and the load did not bring
    kFollow,   // changes in order of position
    kRetract,  // removals of all entries in key order: a client without markers loses access
  };
  // `markers`, `buckets`: the client's features.
  CollectionFeed(common::Collection collection, bool markers, bool buckets = false)
      : collection_(std::move(collection)), markers_(markers), buckets_(markers && buckets) {}

  // Starts or starts over. `resume` is honoured if it lies in this epoch's history and not below
  // the floor; anything else means repair, if the client knows it, or a full load from
  // `state.head` on.
  void Start(Epoch epoch, const DatasetState& state, const std::optional<common::Cursor>& resume);
  // kAwait: the answer came. Absent: a full load.
  void StartRepair(const DatasetState& state, std::optional<common::BucketSet> differing);
  // Access is gone, for the reason `why`. A client without markers that was being served is told
  // the removal of every entry.
  void Deny(common::StatusCode why);

  // The step that Phase asks for was done:
  void TableFilled(Revision from);                             // kPrepare
  void QuestionSent();                                         // kAsk
  void RepairSent();                                           // kRepair
  void BeginSent();                                            // kBegin
  void LoadSent(std::string_view last_key, bool reached_end);  // kLoad, kRetract
  void ForgetSent();  // kForget: some or all of known() was taken
  void ChangesSent(Position last, bool reached_end, Revision head);  // kFollow

  // A commit touched the dataset.
  void Touch() { touched_ = true; }

  const common::Collection& collection() const { return collection_; }
  bool markers() const { return markers_; }
  Phase phase() const { return phase_; }
  bool HasWork() const;
  // First loads give way to changes.
  bool bulk() const { return phase_ != Phase::kFollow || catching_up_; }
  // A complete marker is due even if nothing changed: the client waits for the end of its load.
  bool owes_marker() const { return markers_ && catching_up_; }
  // All that was there at some head has been sent.
  bool caught_up() const { return phase_ == Phase::kFollow && !catching_up_; }
  // The tombstones it needs are gone: only a full load helps. REQUIRES: phase is kLoad or kFollow.
  bool BelowFloor(Revision floor) const { return position_ < EndOf(floor); }
  bool NeedsHistory() const;

  Revision load_revision() const { return position_.revision; }  // S0; kBegin and kLoad
  const std::string& last_key() const { return last_key_; }      // kLoad, kRetract: read behind it
  Position position() const { return position_; }                // kFollow: read behind it

  // What a foreign client says it holds, for its first load.
  KnownVersions& known() { return known_; }
  // kPrepare to kAwait: its own digests, set by the reader.
  std::shared_ptr<BucketTable> table = {};
  // kRepair, and kLoad of a repair: the buckets that are sent; null: all.
  const common::BucketSet* differing() const { return differing_ ? &*differing_ : nullptr; }
  // What the client has acknowledged; absent: no complete state yet.
  std::optional<Revision> acked = {};
  bool by_name = false;                                 // subscribed by its own name
  bool by_wildcard = false;                             // covered by "*"
  common::StatusCode denied = common::StatusCode::kOk;  // why, in kDenied and kRetract

 private:
  const common::Collection collection_;
  const bool markers_;
  const bool buckets_;
  Phase phase_ = Phase::kDenied;
  bool catching_up_ = false;  // no complete state since Start
  bool touched_ = false;      // there may be changes behind position_
  std::string last_key_;
  Position position_;
  KnownVersions known_;
  std::optional<common::BucketSet> differing_;
};

}  // namespace cp
