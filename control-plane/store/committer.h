// Committer: the one thread that writes to the store; everything that waits goes into one durable
// commit (group commit, no fixed delay).
//
// Thread: owns "committer"; Submit from any.  Lifetime: outlives the services that submit; the
// store and the listener outlive it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/limits.h"
#include "common/mailbox.h"
#include "common/thread.h"
#include "control-plane/store/store.h"

namespace cp {

// Called on the committer thread after each durable commit; must not block.
class CommitListener {
 public:
  CommitListener() = default;
  CommitListener(const CommitListener&) = delete;
  CommitListener& operator=(const CommitListener&) = delete;
  virtual ~CommitListener() = default;
  // `datasets`: those whose head moved, each once. `catalog`: null when no declaration changed.
  // Comes before the jobs' `done`, so whoever learns of an outcome finds the listener informed.
  virtual void OnCommitted(const std::vector<std::string>& datasets, CatalogPtr catalog) = 0;
};

struct PublishJob {
  std::string service = {};         // the proven identity of the publisher
  std::string publisher_id = {};    // of all batches: the committer sets theirs
  std::vector<Batch> batches = {};  // in order of sequence; may be empty
  std::uint64_t settled = 0;        // outcomes up to this sequence need not be remembered
  bool forget = false;              // afterwards, drop the memory of the publisher id
  // One outcome per batch, durable; on the committer thread, must not block.
  std::function<void(std::vector<Outcome>)> done = {};
};

struct DeclareJob {
  std::vector<DeclarationChange> changes;
  bool dry_run = false;
  // OK: created | configured | unchanged | deleted per change, durable. Otherwise nothing changed.
  std::function<void(common::StatusOr<std::vector<std::string>>)> done;
};

using CommitJob = std::variant<PublishJob, DeclareJob>;

struct CommitterOptions {
  // Tombstones, withdrawn datasets and publishers' outcomes are kept this long.
  std::chrono::milliseconds tombstone_retention{24 * 3600 * 1000};
  std::uint64_t tombstones_max = 10'000'000;  // per dataset
  std::size_t jobs_max = 100'000;             // waiting; beyond: refused
  std::size_t waiting_bytes_max = common::kCommitWaitingBytesMax;
};

class Committer {
 public:
  Committer(CommitterOptions options, const common::Clock& clock, Store& store,
            CommitListener& listener);
  ~Committer();  // takes no further jobs, finishes those it has
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // False: too much is waiting or it is shutting down; `done` will not be called.
  [[nodiscard]] bool Submit(CommitJob job);

  // Makes one group of `jobs`, in order, and commits it: what the thread does with all that waits.
  // If the commit fails, every job in it gets the error. Public for tests and the simulation, which
  // need no thread; they may call Store::Compact themselves.
  static void CommitOnce(std::vector<CommitJob> jobs, const common::Clock& clock, Store& store,
                         CommitListener& listener);
  // Turns entries that have expired into tombstones, some at a time. False: the store failed.
  static bool ExpireOnce(const common::Clock& clock, Store& store, CommitListener& listener);

 private:
  void Run();
  void CommitAll(std::vector<CommitJob> jobs);
  std::chrono::milliseconds UntilExpiry() const;
  // True: there is more to do at the next idle moment.
  bool CompactOnce();
  const CommitterOptions options_;
  const common::Clock& clock_;
  Store& store_;
  CommitListener& listener_;
  std::atomic<std::size_t> waiting_bytes_ = 0;  // values of the jobs in the mailbox
  common::Mailbox<CommitJob> mailbox_;
  common::Thread thread_;
};

}  // namespace cp
