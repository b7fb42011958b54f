// Environment: what Cache, its Writer and its Readers share: the LMDB environment, the handles of
// its databases, and the copies found broken.
//
// Thread: see each class.  Lifetime: owned by the Cache.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/access_sketch.h"
#include "agent/cache/cache.h"
#include "agent/cache/commit_feed.h"
#include "agent/cache/layout.h"
#include "common/limits.h"
#include "common/lmdb.h"
#include "common/mutex.h"

namespace agent {

// The pool of generation slots. A slot's database is opened once and never closed or deleted while
// the environment is open: closing a handle is unsafe under other threads' transactions.
//
// Thread: Open from the thread that writes; Dbi from any, for a slot that a committed copy record
// names (it was opened before that commit).
class Slots {
 public:
  common::Status Open(common::lmdb::Env& env, std::uint32_t slot);
  common::lmdb::Dbi Dbi(std::uint32_t slot) const {
    return handles_[slot].load(std::memory_order_acquire);
  }

 private:
  // 0 is LMDB's own free list, so never the handle of a named database.
  std::array<std::atomic<common::lmdb::Dbi>, common::kGenerationsMax> handles_{};
};

// Generations in which a checksum has failed, by serial. Not durable: a broken entry is found
// again.
//
// Thread: any.
class Faults {
 public:
  bool Has(std::uint64_t serial) const TSA_EXCLUDES(mutex_) {
    return count_.load(std::memory_order_acquire) != 0 && Find(serial);
  }
  // Calls the handler if this generation was not reported before.
  void Report(const common::Collection& collection, std::uint64_t serial) TSA_EXCLUDES(mutex_);
  void Forget(std::uint64_t serial) TSA_EXCLUDES(mutex_);
  void SetHandler(std::function<void(const common::Collection&)> handler) TSA_EXCLUDES(mutex_);

 private:
  bool Find(std::uint64_t serial) const TSA_EXCLUDES(mutex_);

  std::atomic<std::size_t> count_ = 0;
  mutable common::Mutex mutex_;
  std::set<std::uint64_t> serials_ TSA_GUARDED_BY(mutex_);
  std::function<void(const common::Collection&)> handler_ TSA_GUARDED_BY(mutex_);
};

struct Environment {
  common::lmdb::Env env;
  common::lmdb::Dbi meta = 0;
  common::lmdb::Dbi copies = 0;
  common::lmdb::Dbi staging = 0;
  Slots slots = {};
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  std::shared_ptr<AccessSketch> sketch = std::make_shared<AccessSketch>();
  CommitFeeds feeds = {};
};

// The environment in use. A rebuild (rebuild.h) puts another one in its place; the old one is
// closed when its last reader has moved on.
//
// Thread: Replace from the thread that writes, the rest from any.
class CurrentEnvironment {
 public:
  explicit CurrentEnvironment(std::shared_ptr<Environment> environment)
      : environment_(std::move(environment)) {}

  // Differs from before when the environment does; cheap.
  std::uint64_t turn() const { return turn_.load(std::memory_order_acquire); }
  std::shared_ptr<Environment> Get() const TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    return environment_;
  }
  void Replace(std::shared_ptr<Environment> next) TSA_EXCLUDES(mutex_) {
    {
      common::MutexLock lock(mutex_);
      environment_.swap(next);
    }
    turn_.fetch_add(1, std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t> turn_ = 0;
  mutable common::Mutex mutex_;
  std::shared_ptr<Environment> environment_ TSA_GUARDED_BY(mutex_);
};

// As the cache opens its file, and what is in every one. A reserve comes on top of `map_bytes`.
common::StatusOr<common::lmdb::Env> OpenEnv(const std::string& dir, std::size_t map_bytes,
                                            std::function<common::Status()> prepare);
common::Status OpenFixedDatabases(Environment& environment);

// The layout version of a snapshot: bumped by every transaction that adds or removes a copy or
// changes what can be read of one, other than its entries.
common::StatusOr<std::uint64_t> ReadLayout(const Environment& environment,
                                           const common::lmdb::Txn& txn);
// All copies of a snapshot, ordered by collection. DATA_LOSS: one is malformed.
common::StatusOr<std::vector<CopyRecord>> ReadCopies(const Environment& environment,
                                                     const common::lmdb::Txn& txn);

}  // namespace agent
