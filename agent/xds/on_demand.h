// OnDemand: the names that on-demand copies hold, who waits for which, and which must go.
//
// Thread: one owner (sync); pure, no I/O or clock.  Lifetime: as SyncCore; the sketch outlives it.
//
//            ask              value, removal              evict, drop
//   (none) ------> kAsked ------------------> kHeld | kAbsent ------> (none)
//
// Many questions for one name are one subscription. An absence is held for a bounded time. When
// there is no room, a name is admitted only if it is read more often than the least used of a
// sample (TinyLFU, docs/decisions/); else it is answered once and let go.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/cache/access_sketch.h"
#include "agent/xds/demand.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/status.h"

namespace agent {

struct OnDemandLimits {
  std::size_t names = 90'000;  // below kExplicitNamesPerStreamMax
  std::size_t bytes = 256 * common::kMiB;
  std::chrono::milliseconds idle{std::chrono::minutes(30)};
  std::chrono::milliseconds absence{std::chrono::seconds(30)};
  std::size_t waiting = 262'144;  // questions; beyond: refused
};

struct HeldName {
  common::Collection collection;
  std::string key;
  friend auto operator<=>(const HeldName&, const HeldName&) = default;
};

class OnDemand {
 public:
  OnDemand(OnDemandLimits limits, const AccessSketch& sketch, std::uint64_t seed)
      : limits_(limits), sketch_(sketch), random_(seed) {}

  void AddCopy(const common::Collection& collection) { copies_[collection]; }
  // Its names are gone, they are returned; those who wait get `why`.
  std::vector<HeldName> DropCopy(const common::Collection& collection, const common::Status& why);
  bool Has(const common::Collection& collection) const { return copies_.contains(collection); }
  // The copy that covers a key, if any.
  std::optional<common::Collection> CopyOf(std::string_view dataset, std::string_view key) const;

  // As found on disk.
  void Recall(const common::Collection& collection, std::string_view key, std::size_t bytes,
              bool absent, common::MonotonicTime now);

  // Takes a question in. The names that are to be subscribed now; those that are held must be
  // answered by the caller, with Tell, since a reader may have asked before it saw them.
  struct Asked {
    std::vector<HeldName> subscribe;
    std::vector<HeldName> tell;
  };
  Asked Ask(DemandQuestion question, common::MonotonicTime now);
  // What is known of a name now. Who waits is answered.
  void Tell(const HeldName& name, const DemandEntry& entry, common::MonotonicTime as_of);
  void Fail(const HeldName& name, const common::Status& why);
  // All that wait, because the stream is lost; the names that are let go of.
  std::vector<HeldName> FailAll(const common::Status& why);

  // True: an answer about the name is of interest.
  bool Wants(const common::Collection& collection, std::string_view key) const;
  // It is stored now.
  void Stored(const HeldName& name, std::size_t bytes, bool absent, common::MonotonicTime now);
  // Names that have had no answer since their question: all are let go.
  bool IsAsked(const HeldName& name) const;

  // Questions whose deadline has passed are answered so; names to be evicted are returned, and
  // forgotten.
  std::vector<HeldName> Sweep(common::MonotonicTime now);
  std::optional<common::MonotonicTime> deadline() const;

  std::vector<HeldName> Names() const;
  std::size_t copies() const { return copies_.size(); }
  std::size_t names() const { return dense_.size(); }
  std::size_t bytes() const { return bytes_; }
  std::uint64_t evicted() const { return evicted_; }
  std::uint64_t refused() const {
    return refused_;
  }  // read often enough to be asked, not to be kept

 private:
  struct Question {
    DemandQuestion asked;
    std::vector<DemandEntry> entries;
    std::size_t missing = 0;
    common::MonotonicTime as_of{};
  };
  struct Waiter {
    std::shared_ptr<Question> question;
    std::size_t index = 0;
  };
  enum class State { kAsked, kHeld, kAbsent };
  struct Name {
    State state = State::kAsked;
    std::size_t bytes = 0;
    std::size_t dense = 0;          // index in dense_
    common::MonotonicTime until{};  // of an absence
    std::vector<Waiter> waiters = {};
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Names_ = std::unordered_map<std::string, Name, Hash, std::equal_to<>>;

  Name* Find(const common::Collection& collection, std::string_view key);
  const Name* Find(const common::Collection& collection, std::string_view key) const;
  Name& Insert(const HeldName& name);
  void Erase(const HeldName& name);
  // Parts of Sweep; what has gone is appended.
  void DropIdle(common::MonotonicTime now, std::vector<HeldName>& gone);
  // Who came last must be worth more than who is there.
  void AdmitFresh(std::vector<HeldName>& gone);
  void DropLeastUsed(std::vector<HeldName>& gone);
  static void Finish(Question& question, common::Status status);
  void Answer(Name& name, const DemandEntry& entry, common::MonotonicTime as_of);
  bool IsDue(const HeldName& held, const Name& name, common::MonotonicTime now) const;
  std::size_t LeastUsed();
  std::uint64_t Hash_(const HeldName& name) const {
    return AccessSketch::Hash(name.collection.dataset, name.key);
  }

  const OnDemandLimits limits_;
  const AccessSketch& sketch_;
  std::mt19937_64 random_;
  std::map<common::Collection, Names_> copies_;
  std::vector<HeldName> dense_;  // all names, for samples
  std::size_t sweep_at_ = 0;     // where the next look at idle names begins
  std::size_t bytes_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t refused_ = 0;
  std::multimap<common::MonotonicTime, std::weak_ptr<Question>> deadlines_;
  std::vector<HeldName> fresh_;  // stored since the last sweep: to be admitted or not
};

}  // namespace agent
