// SyncCore: what it tells the rest of the agent about itself.
#include <utility>

#include "agent/xds/sync_core.h"

#include <algorithm>
#include "common/limits.h"

namespace agent {

using common::ConsistencyLevel;

CopyPhase SyncCore::PhaseOf(const Copy& copy, const CopyState& state) const {
  if (state.denial == Denial::kNoDataset) return CopyPhase::kNoDataset;
  if (state.denial == Denial::kNoPermission) return CopyPhase::kNoPermission;
  if (!state.complete) return CopyPhase::kSyncing;
  if (copy.faulted) return CopyPhase::kFaulted;
  if (state.loading || copy.restart) return CopyPhase::kReloading;
  if (copy.wanted.consistency.level != ConsistencyLevel::kBounded) return CopyPhase::kSynced;
  const auto proven = copy.proof.proven_at();
  const bool fresh = proven && clock_.Now() - *proven <= copy.wanted.consistency.max_staleness;
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
  status.note = copy.note;
  return status;
}

void SyncCore::PublishStatus() {
  status_dirty_ = false;
  next_status_ = clock_.Now() + common::kStatusInterval;
  auto status = std::make_shared<AgentStatus>(totals_);
  status->wanted_known = wanted_known_;
  for (const CopyState& state : writer_.Copies()) {
    const auto it = copies_.find(state.collection);
    if (it != copies_.end()) status->copies.push_back(StatusOf(it->second, state));
  }
  for (const WantedCopy& wanted : unsupported_) {
    CopyStatus copy;
    copy.collection = wanted.collection;
    copy.mode = wanted.mode;
    copy.consistency = wanted.consistency;
    copy.phase = CopyPhase::kUnsupported;
    copy.note = fmt::format("mode {} is not supported yet", common::ModeName(wanted.mode));
    status->copies.push_back(std::move(copy));
  }
  board_.Put(std::move(status));
}

}  // namespace agent
