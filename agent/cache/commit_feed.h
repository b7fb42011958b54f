// CommitFeeds: tells each indexing reader, before a commit can be seen, which keys it changes.
//
// Thread: Announce on the writer's, everything else on a reader's.  Lifetime: owned by the
// Environment; a CommitFeed belongs to a Reader and takes itself off the list.
// The order is what makes an index correct: announce, commit, (reader) take a snapshot, take what
// was announced. So a reader has heard of every change that its snapshot holds, and perhaps of one
// commit that it does not hold yet.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/mutex.h"

namespace agent {

// Changed keys that an index has not heard of yet; beyond: it forgets all it knows.
inline constexpr std::size_t kAnnouncedPlacesMax = std::size_t{256} * 1024;

// What a transaction changes in readable generations.
struct ChangedPlaces {
  std::uint64_t txn = 0;                   // the newest one, if several
  bool all = false;                        // too many to name: anything may have changed
  std::vector<std::uint64_t> hashes = {};  // PlaceHash

  void Add(std::uint64_t hash);
  void Reset();  // keeps the memory
  bool any() const { return all || !hashes.empty(); }
};

class CommitFeed;

class CommitFeeds {
 public:
  // REQUIRES: the transaction is not committed yet. If it never is, nothing is lost but places.
  void Announce(const ChangedPlaces& changed) TSA_EXCLUDES(mutex_);

 private:
  friend class CommitFeed;
  common::Mutex mutex_;
  std::uint64_t txn_ TSA_GUARDED_BY(mutex_) = 0;  // announced last
  std::vector<CommitFeed*> feeds_ TSA_GUARDED_BY(mutex_);
};

class CommitFeed {
 public:
  explicit CommitFeed(CommitFeeds& feeds);
  ~CommitFeed();
  CommitFeed(const CommitFeed&) = delete;
  CommitFeed& operator=(const CommitFeed&) = delete;

  // What was announced since the last call; false: nothing. `taken` lends its memory.
  // REQUIRES: the reader's snapshot was taken before.
  [[nodiscard]] bool Take(ChangedPlaces& taken);

 private:
  friend class CommitFeeds;
  CommitFeeds& feeds_;
  std::atomic<bool> waiting_{true};
  ChangedPlaces changed_;  // guarded by feeds_.mutex_
};

}  // namespace agent
