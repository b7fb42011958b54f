// ManifestWatcher: keeps the catalog equal to what the files of a directory declare, while it runs.
//
// Thread: owns "manifests"; Reconcile is for the owner before Start, and for tests.
// Lifetime: store, committer and log outlive it.
// Polls, because polling also sees the symlink swaps of a mounted ConfigMap and network file
// systems. Files are *.yaml, *.yml and *.json directly in the directory; names that begin with '.'
// are passed over.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "common/log.h"
#include "common/mailbox.h"
#include "common/thread.h"
#include "control-plane/manifests/manifest_set.h"
#include "control-plane/store/committer.h"

namespace cp {

struct ManifestWatcherOptions {
  std::string dir;
  std::chrono::milliseconds interval{500};
};

class ManifestWatcher {
 public:
  ManifestWatcher(ManifestWatcherOptions options, const Store& store, Committer& committer,
                  common::Log& log);
  ~ManifestWatcher();
  ManifestWatcher(const ManifestWatcher&) = delete;
  ManifestWatcher& operator=(const ManifestWatcher&) = delete;

  // Reads what has changed since the last call and makes the catalog follow; waits for the commits.
  // Faults are logged once, when they appear or change. NOT_FOUND: the directory cannot be read;
  // nothing changes.
  common::Status Reconcile();
  // Begins to call Reconcile each `interval`.
  void Start();

 private:
  struct Signature {
    std::int64_t modified_ns = 0;
    std::int64_t bytes = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const Signature&, const Signature&) = default;
  };
  using Listing = std::map<std::string, Signature>;

  common::StatusOr<Listing> List() const;
  void ReadChanged(const Listing& listing);
  common::Status Submit(ManifestPlan plan);
  void LogFaults(std::map<std::string, std::string> faults);

  const ManifestWatcherOptions options_;
  const Store& store_;
  Committer& committer_;
  common::Log& log_;
  ManifestSet manifests_;
  Listing seen_;
  std::map<std::string, std::string> logged_faults_;
  common::Mailbox<int> stop_{1};
  common::Thread thread_;
};

}  // namespace cp
