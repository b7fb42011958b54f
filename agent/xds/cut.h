// CutAssembler: turns Entry responses into what the cache shall do, so that a reader never sees
// half of a cut.
//
// Thread: one owner (sync); pure, no I/O, clock or lock.  Lifetime: one stream per Start; steps
// keep alive the response bytes that their changes point into.
//
//              entries                          entries
//    begin marker -> kLoad -> … -> kApply         (held, kStage when big) -> kApply
//    (first load, reload)   complete marker       live          complete marker
//
// Copies by name have each response applied as it comes, from any server.
//
// A server that sends no markers (foreign) has each response applied as it comes, once the copy is
// complete. One that does not call itself Tributary's is taken for foreign when a copy that sent no
// cursor gets entries without a begin marker before any marker was seen, when it reports a
// collection's name as removed, or when versions are not ours. What it sends to a copy that offered
// nothing goes into a new generation, which is taken for complete after some silence. So does what
// follows the removal of a collection's name, which may mean "empty" or "I do not know this name".
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/xds/sync_limits.h"
#include "agent/xds/ttl.h"
#include "common/buckets.h"
#include "common/clock.h"
#include "common/delta_codec.h"
#include "common/limits.h"

namespace agent {

// Epoch of cursors and entry versions that a foreign server's versions are hashed into; never sent.
inline constexpr common::Epoch kForeignEpoch = 0xFFFF'FFFF'FFFFu;

// What the assembler may know of the world when a response comes.
struct Moment {
  common::MonotonicTime now{};
  std::int64_t unix_ms = 0;
  // Of copies by name: is this key of interest?
  std::function<bool(const common::Collection&, std::string_view key)> wants;
  // The version that is held of a key, absent if none.
  std::function<std::optional<EntryVersion>(const common::Collection&, std::string_view key)> held;
};

// Keys in chunks that stay where they are.
class KeyChunks {
 public:
  std::string_view Add(std::string_view key) {
    if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < key.size()) {
      chunks_.emplace_back().reserve(std::max(kChunkBytes, key.size()));
    }
    std::string& chunk = chunks_.back();
    chunk.append(key);
    return std::string_view(chunk).substr(chunk.size() - key.size());
  }

 private:
  static constexpr std::size_t kChunkBytes = 16 * common::kKiB;
  std::deque<std::string> chunks_;
};

// Changes and the bytes that they point into. Never copied: the copy's changes would point into the
// original. (A vector copies what may throw when moved, as a deque may, if it can.)
struct ChangeBatch {
  ChangeBatch() = default;
  ~ChangeBatch() = default;
  ChangeBatch(ChangeBatch&&) = default;
  ChangeBatch& operator=(ChangeBatch&&) = default;
  ChangeBatch(const ChangeBatch&) = delete;
  ChangeBatch& operator=(const ChangeBatch&) = delete;

  std::vector<std::shared_ptr<const std::string>> buffers;
  KeyChunks keys;  // those that had to be decoded
  std::vector<Change> changes;
  std::size_t bytes = 0;  // on the wire, nearly
};

struct CacheStep {
  enum class Kind {
    kAllow,        // Writer::Deny(kNone)
    kDeny,         // Writer::Deny(denial)
    kBeginLoad,    // at `version`
    kBeginRepair,  // at `version`, with what is not in the buckets `resent`
    kLoad,
    kStage,
    kDropStaged,
    kKeep,        // `keys` of the old generation
    kApply,       // up to `version`
    kApplyNames,  // of a copy by name
  };
  Kind kind = Kind::kApply;
  common::Collection collection;
  ChangeBatch batch;
  common::Version version;
  Denial denial = Denial::kNone;
  std::vector<std::string> keys = {};
  std::optional<common::BucketSet> resent = {};
};

// An entry that ends by itself (resource ttl).
struct EntryExpiry {
  std::int64_t at_ms = 0;  // Unix time
  common::Collection collection;
  std::string key;
};

struct AssemblyOutcome {
  std::vector<CacheStep> steps;       // in order; none when refused
  std::string refused;                // why all of the response is rejected; empty: it is not
  std::vector<std::string> rejected;  // "<name>: <reason>" of single resources that are left out
  std::vector<std::pair<common::Collection, std::string>> rejected_keys;  // their keys
  std::vector<common::Collection> answered;  // collections that the server spoke about
  std::vector<EntryExpiry> expiries;
  // The server asks for digests of so many buckets.
  std::vector<std::pair<common::Collection, std::size_t>> questions;
  std::vector<common::Collection> unrepaired;  // to be loaded whole: the repair cannot be done
};

// What the error of a collection or dataset means; absent: it will pass.
std::optional<Denial> DenialOf(int code);
// The control plane that so names itself is Tributary's own.
bool IsTributary(std::string_view identifier);

// What to send as the collection's initial version; empty: nothing, the load starts from scratch.
std::string ResumeVersion(const CopyState& copy);

class CutAssembler {
 public:
  enum class Server { kUnknown, kMarkers, kForeign };
  // What the server was told of a copy: nothing, ResumeVersion, or the versions of all its entries;
  // kNames: single names are subscribed, it is a copy by name.
  enum class Offer { kNothing, kCursor, kVersions, kNames };
  struct Options {
    std::chrono::milliseconds foreign_quiet = kForeignQuiet;
  };

  explicit CutAssembler(Options options) : options_(options) {}

  // A new stream: what is held is dropped (the server sends it again) and nothing is tracked.
  void Start();
  // Entries of this copy count from now on.
  void Track(const CopyState& copy, Offer offer);
  void Untrack(const common::Collection& collection);
  // Nothing counts any more until the next begin marker: the collection was subscribed anew.
  void AwaitBegin(const common::Collection& collection);

  // `view` points into `bytes`.
  AssemblyOutcome OnResponse(const common::DeltaResponseView& view,
                             std::shared_ptr<const std::string> bytes, const Moment& moment);
  // Ends the loads of foreign servers whose time has come; to be called again at due().
  std::vector<CacheStep> OnTime(common::MonotonicTime now);
  std::optional<common::MonotonicTime> due() const;
  // Makes durable steps of all that is held.
  std::vector<CacheStep> Spill();
  std::size_t held_bytes() const { return held_bytes_; }
  Server server() const { return server_; }

  // Held loads are handed on once they reach this; more per commit gains nothing.
  static constexpr std::size_t kLoadBytes = 4 * common::kMiB;

 private:
  struct Repair {
    common::Version at;
    common::BucketSet resent;
  };
  struct TrackedCopy {
    enum class Phase { kAwaitBegin, kLoading, kForeignLoad, kLive, kByName };
    common::Collection collection;
    std::string entry_prefix;  // of its entries' resource names
    Phase phase = Phase::kAwaitBegin;
    bool may_guess = true;  // entries without a marker may mean a foreign server
    bool denied = false;
    bool staged = false;
    bool serves = false;   // a generation can be read
    bool loaded = false;   // this foreign load has brought something
    bool touched = false;  // by this response
    common::Revision foreign_revision = 0;
    common::MonotonicTime load_began{};  // foreign
    common::MonotonicTime touched_at{};
    std::vector<std::string> rejected;        // keys, by this load
    std::optional<common::Version> complete;  // marker of this response
    std::size_t buckets = 0;                  // that were asked about
    std::optional<Repair> repair = {};        // of this response
    ChangeBatch held;
  };
  struct Place {
    TrackedCopy* track = nullptr;
    bool marker = false;
    std::string_view key;
  };

  Place Locate(std::string_view name);
  bool IsWanted(const Place& place) const;
  TrackedCopy* Covering(const std::string& dataset, std::string_view key);
  void TakeErrors(const common::DeltaResponseView& view, AssemblyOutcome& out);
  void TakeResource(const common::ResourceView& resource, AssemblyOutcome& out);
  void TakeEntry(const Place& place, const common::ResourceView& resource, AssemblyOutcome& out);
  std::string TryEntry(const Place& place, const common::ResourceView& resource,
                       AssemblyOutcome& out);
  std::string TryBare(const Place& place, const common::ResourceView& resource,
                      AssemblyOutcome& out);
  std::int64_t Expiry(const Place& place, const common::ResourceView& resource,
                      AssemblyOutcome& out) const;
  bool TakeRepair(TrackedCopy& track, const common::ResourceView& resource, AssemblyOutcome& out);
  void TakeQuestion(TrackedCopy& track, std::size_t buckets, AssemblyOutcome& out);
  void TakeRun(const common::ResourceView& resource, AssemblyOutcome& out);
  void GiveUpRepair(TrackedCopy& track, std::string why, AssemblyOutcome& out);
  void BeginRepair(TrackedCopy& track, std::vector<CacheStep>& steps);
  void TakeMarker(TrackedCopy& track, const common::ResourceView& resource, AssemblyOutcome& out);
  void TakeRemoval(const common::DeltaResponseView& view, std::string_view name,
                   AssemblyOutcome& out);
  void TakeAbsence(const Place& place, std::string_view name, AssemblyOutcome& out);
  bool Accepts(TrackedCopy& track, AssemblyOutcome& out);
  void BeginForeign(TrackedCopy& track, AssemblyOutcome& out);
  void AddChange(const Place& place, const Change& change, std::size_t bytes);
  void Finish(const common::DeltaResponseView& view, AssemblyOutcome& out);
  void FinishTrack(TrackedCopy& track, std::vector<CacheStep>& steps);
  void Complete(TrackedCopy& track, std::vector<CacheStep>& steps);
  static common::Version NextForeign(TrackedCopy& track);
  common::MonotonicTime EndOf(const TrackedCopy& track) const;
  void DropHeld(TrackedCopy& track);
  CacheStep Step(TrackedCopy& track, CacheStep::Kind kind, bool with_held);
  void SpillTrack(TrackedCopy& track, std::vector<CacheStep>& steps);

  const Options options_;
  std::map<common::Collection, TrackedCopy> tracks_;
  std::map<std::string, TrackedCopy*, std::less<>> by_name_;
  Server server_ = Server::kUnknown;
  std::size_t held_bytes_ = 0;
  // Of the response being taken.
  Moment moment_;
  common::Version as_of_;  // what it says of single names was so then; {}: not known
  Ttls ttls_;
  std::shared_ptr<const std::string> bytes_;
  TrackedCopy* last_ = nullptr;
  std::string decoded_;
};

}  // namespace agent
