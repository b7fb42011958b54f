// AgentStatus: what the agent knows about itself and its copies; StatusBoard: the notice board from
// which INFO, TRIB.STATUS and the admin pages read it.
//
// Thread: Put by the sync thread, Get from any.  Lifetime: the board outlives both sides; a status
// is immutable once put.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cache/control_plane_clock.h"
#include "common/clock.h"
#include "common/declarations.h"
#include "common/mutex.h"
#include "common/version.h"

namespace agent {

enum class CopyPhase {
  kSyncing,
  kSynced,
  kStale,
  kReloading,
  kFaulted,
  kNoDataset,
  kNoPermission,
  kUnsupported,  // its mode is not; there is no copy
  kReadThrough,  // no copy: reads go to the control plane
};
std::string_view PhaseName(CopyPhase phase);  // "SYNCING" …

struct CopyStatus {
  common::Collection collection = {};
  common::Mode mode = common::Mode::kReplicate;
  common::Consistency consistency = {};
  CopyPhase phase = CopyPhase::kSyncing;
  common::Version cursor = {};
  common::Revision head = 0;  // of the dataset, as last probed
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::string digest = {};                              // 32 hex digits
  std::optional<common::MonotonicTime> proven_at = {};  // fresh as of then; absent: never proven
  std::int64_t verified_at_ms = 0;  // Unix time at which the digest last matched; 0: never
  bool digest_mismatch = false;
  // Reads go to the control plane although this copy is to serve them: its mode was readThrough and
  // it has not been proven fresh yet.
  bool bridged = false;
  std::string note = {};  // what a person should know: no answer for 15 s, mode not supported …
};

struct AgentStatus {
  std::string service;
  bool connected = false;
  bool wanted_known = false;  // the control plane has said, once, what this agent shall carry
  std::string control_plane;  // address in use, or last tried
  std::uint64_t reconnects = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t responses = 0;
  std::uint64_t nacks = 0;
  std::uint64_t applies = 0;
  std::uint64_t entries_applied = 0;
  std::uint64_t digest_mismatches = 0;
  std::uint64_t checksum_faults = 0;
  std::uint64_t repairs = 0;            // by digests, begun
  std::uint64_t on_demand_names = 0;    // keys held by on-demand copies, absences included
  std::uint64_t on_demand_bytes = 0;
  std::uint64_t on_demand_dropped = 0;  // keys dropped: idle, or no room
  double apply_seconds = 0;        // sum over applies
  std::string apply_error;         // why applying has stopped (disk full …); empty: it has not
  std::vector<CopyStatus> copies;  // ordered by collection; of equals, the one that counts is last

  // The most specific one whose collection holds the key; null: none.
  const CopyStatus* Covering(std::string_view dataset, std::string_view key) const;
};

class StatusBoard {
 public:
  void Put(std::shared_ptr<const AgentStatus> status) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    status_.swap(status);
    version_.fetch_add(1, std::memory_order_release);
  }
  std::shared_ptr<const AgentStatus> Get() const TSA_EXCLUDES(mutex_) {  // never null
    common::MutexLock lock(mutex_);
    return status_;
  }
  // Changes with each Put: tells cheaply whether Get would return something new.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  ControlPlaneClock control_plane_clock;

 private:
  std::atomic<std::uint64_t> version_{0};
  mutable common::Mutex mutex_;
  std::shared_ptr<const AgentStatus> status_ TSA_GUARDED_BY(mutex_) =
      std::make_shared<AgentStatus>();
};

}  // namespace agent
