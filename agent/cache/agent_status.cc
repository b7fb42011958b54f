#include "agent/cache/agent_status.h"

#include <algorithm>
#include <tuple>

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
    case CopyPhase::kReadThrough:
      return "READTHROUGH";
  }
  CHECK(false);
  return {};
}

// Prefixes of the key sort at or before it, longer ones later.
const CopyStatus* AgentStatus::Covering(std::string_view dataset, std::string_view key) const {
  auto it =
      std::ranges::upper_bound(copies, std::tuple(dataset, key), {}, [](const CopyStatus& copy) {
        return std::tuple<std::string_view, std::string_view>(copy.collection.dataset,
                                                              copy.collection.prefix);
      });
  while (it != copies.begin()) {
    --it;
    if (it->collection.dataset != dataset) return nullptr;
    if (it->collection.Covers(key)) return &*it;
  }
  return nullptr;
}

}  // namespace agent
