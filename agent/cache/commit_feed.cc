#include "agent/cache/commit_feed.h"

#include <algorithm>
#include <utility>

namespace agent {
namespace {

// Orders what LMDB stores and loads, which is not atomic, against what stands around it.
void FullFence() {
#if defined(__SANITIZE_THREAD__)
  static std::atomic<int> order{0};  // TSan does not know fences
  order.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace

void ChangedPlaces::Add(std::uint64_t hash) {
  if (hashes.size() >= kAnnouncedPlacesMax) all = true;
  if (all) {
    hashes.clear();
  } else {
    hashes.push_back(hash);
  }
}

void ChangedPlaces::Reset() {
  all = false;
  hashes.clear();
}

void CommitFeeds::Announce(const ChangedPlaces& changed) {
  {
    common::MutexLock lock(mutex_);
    txn_ = changed.txn;
    for (CommitFeed* feed : feeds_) {
      feed->changed_.txn = changed.txn;
      feed->changed_.all |= changed.all;
      for (const std::uint64_t hash : changed.hashes) feed->changed_.Add(hash);
      feed->waiting_.store(true, std::memory_order_release);
    }
  }
  // Nothing of this may be seen later than the commit that follows.
  FullFence();
}

CommitFeed::CommitFeed(CommitFeeds& feeds) : feeds_(feeds) {
  common::MutexLock lock(feeds_.mutex_);
  feeds_.feeds_.push_back(this);
  changed_.txn = feeds_.txn_;  // announced, and perhaps not committed yet
}

CommitFeed::~CommitFeed() {
  common::MutexLock lock(feeds_.mutex_);
  std::erase(feeds_.feeds_, this);
}

bool CommitFeed::Take(ChangedPlaces& taken) {
  FullFence();  // the snapshot first
  if (!waiting_.load(std::memory_order_acquire)) return false;
  taken.Reset();
  common::MutexLock lock(feeds_.mutex_);
  waiting_.store(false, std::memory_order_relaxed);
  taken.txn = changed_.txn;
  taken.all = std::exchange(changed_.all, false);
  taken.hashes.swap(changed_.hashes);
  return true;
}

}  // namespace agent
