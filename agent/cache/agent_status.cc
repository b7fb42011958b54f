#include "agent/cache/agent_status.h"

#include "common/status.h"

namespace agent {

std::string_view PhaseName(CopyPhase phase) {
  switch (phase) {
    case CopyPhase::kSyncing:
      return "SYNCING";
    case CopyPhase::kSynced:
      return "SYNCED";
    case CopyPhase::kStale:
      return "STALE";
    case CopyPhase::kReloading:
      return "RELOADING";
    case CopyPhase::kFaulted:
      return "FAULTED";
    case CopyPhase::kNoDataset:
      return "NODATASET";
    case CopyPhase::kNoPermission:
      return "NOPERM";
    case CopyPhase::kUnsupported:
      return "UNSUPPORTED";
  }
  CHECK(false);
  return {};
}

}  // namespace agent
