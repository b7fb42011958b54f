// SyncCore: what it tells the rest of the agent about itself.
#include <utility>

#include "agent/xds/sync_core.h"

#include <algorithm>
#include "common/limits.h"
#include "common/read_limits.h"

namespace agent {

using common::Collection;
using common::ConsistencyLevel;

// What the control plane answers for: by its mode, or until a copy of another kind has taken the
// place of the one that is there.
std::vector<WantedCopy> SyncCore::Bridges(const Wanted& wanted) const {
  std::vector<WantedCopy> bridges = wanted.read_through;
  const std::vector<CopyState> held = writer_.Copies();
  const auto add = [&](const std::vector<WantedCopy>& copies, bool by_name) {
    for (const WantedCopy& copy : copies) {
      const Collection& collection = copy.collection;
      const auto known = copies_.find(collection);
      if (known != copies_.end() && known->second.by_name == by_name) continue;
      const bool replaces = std::ranges::any_of(held, [&](const CopyState& old) {
        return old.by_name != by_name && old.collection.dataset == collection.dataset &&
               (old.collection.Covers(collection.prefix) ||
                collection.Covers(old.collection.prefix));
      });
      if (replaces) bridges.push_back(copy);
    }
  };
  add(wanted.copies, false);
  add(wanted.by_name, true);
  return bridges;
}

// Readers learn that the control plane answers for a collection before its copy goes, and that a
// copy does after it is there: at no time is there nobody to ask.
void SyncCore::ReadThrough(const std::vector<WantedCopy>& wanted) {
  bool news = false;
  for (const WantedCopy& remote : wanted) {
    if (std::ranges::find(read_through_, remote) != read_through_.end()) continue;
    std::erase_if(read_through_,
                  [&](const WantedCopy& old) { return old.collection == remote.collection; });
    read_through_.push_back(remote);
    news = true;
  }
  if (news) PublishStatus();
}

bool SyncCore::IsReadThrough(const common::Collection& collection) const {
  return std::ranges::any_of(read_through_, [&](const WantedCopy& remote) {
    return remote.collection.dataset == collection.dataset &&
           remote.collection.Covers(collection.prefix);
  });
}

CopyPhase SyncCore::PhaseOf(const Copy& copy, const CopyState& state) const {
  if (state.denial == Denial::kNoDataset) return CopyPhase::kNoDataset;
  if (state.denial == Denial::kNoPermission) return CopyPhase::kNoPermission;
  if (!state.complete) return CopyPhase::kSyncing;
  if (copy.faulted) return CopyPhase::kFaulted;
  if (state.loading || copy.restart) return CopyPhase::kReloading;
  const bool bounded = copy.wanted.consistency.level == ConsistencyLevel::kBounded;
  const std::chrono::milliseconds bound =
      bounded ? copy.wanted.consistency.max_staleness
              : std::max(common::kSilenceMax, 3 * options_.freshness_interval);
  // Without a bound, what was never proven is not called stale at once.
  const auto proven = copy.proof.proven_at() || bounded ? copy.proof.proven_at() : copy.since;
  const bool fresh = proven && clock_.Now() - *proven <= bound;
  return fresh ? CopyPhase::kSynced : CopyPhase::kStale;
}

CopyStatus SyncCore::StatusOf(const Copy& copy, const CopyState& state) const {
  CopyStatus status;
  status.collection = copy.wanted.collection;
  status.mode = copy.wanted.mode;
  status.consistency = copy.wanted.consistency;
  status.phase = PhaseOf(copy, state);
  status.cursor = state.cursor;
  status.head = state.cursor.revision;  // a copy may be ahead of the last probe
  if (copy.proof.head()) {
    status.head = std::max(status.head, copy.proof.head()->version.revision);
  }
  status.entries = state.entries;
  status.bytes = state.bytes;
  status.digest = common::FormatDigest(state.digest);
  status.proven_at = copy.proof.proven_at();
  status.verified_at_ms = copy.verified_at_ms;
  status.digest_mismatch = copy.mismatch;
  status.bridged = copy.bridged;
  status.note = copy.note;
  if (const std::size_t rejected = rejected_.CountOf(status.collection); rejected != 0) {
    status.note.append(status.note.empty() ? "" : "; ")
        .append(fmt::format("{} entries were rejected, the copy has their last good values",
                            rejected));
  }
  return status;
}

void SyncCore::AddRemote(const WantedCopy& wanted, CopyPhase phase, AgentStatus& status) const {
  CopyStatus copy;
  copy.collection = wanted.collection;
  copy.mode = wanted.mode;
  copy.consistency = wanted.consistency;
  copy.phase = phase;
  copy.bridged = phase == CopyPhase::kReadThrough;
  if (phase == CopyPhase::kUnsupported) {
    copy.note = fmt::format("left out: at most {} collections are carried", common::kCopiesMax);
  }
  status.copies.push_back(std::move(copy));
}

void SyncCore::PublishStatus() {
  status_dirty_ = false;
  next_status_ = clock_.Now() + common::kStatusInterval;
  auto status = std::make_shared<AgentStatus>(totals_);
  status->wanted_known = wanted_known_;
  status->on_demand_names = demand_.names();
  status->on_demand_bytes = demand_.bytes();
  status->on_demand_dropped = demand_.evicted();
  for (const CopyState& state : writer_.Copies()) {
    const auto it = copies_.find(state.collection);
    if (it != copies_.end()) status->copies.push_back(StatusOf(it->second, state));
  }
  for (const WantedCopy& wanted : read_through_) {
    AddRemote(wanted, CopyPhase::kReadThrough, *status);
  }
  for (const WantedCopy& wanted : unsupported_) {
    AddRemote(wanted, CopyPhase::kUnsupported, *status);
  }
  std::ranges::stable_sort(status->copies, {}, &CopyStatus::collection);
  board_.Put(std::move(status));
}

}  // namespace agent
