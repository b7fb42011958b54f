// WatchHistory: the model of what WATCH promises. Every change that a key has ever seen, nothing
// forgotten, written from what the documents say and apart from the store.
//
// Thread: one.  Lifetime: value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/session.h"
#include "agent/server/write_port.h"
#include "common/version.h"

namespace sim {

class WatchHistory {
 public:
  // A committed batch; it has taken `revision` if it has changed anything.
  void Apply(const std::vector<agent::SocketWrite>& writes, common::Revision revision,
             std::int64_t now_ms) {
    for (const agent::SocketWrite& write : writes) {
      const bool live = IsLive(write.key, now_ms);
      using Condition = agent::SetOptions::Condition;
      if (write.options.condition == Condition::kIfAbsent && live) continue;
      if (!write.value && !live) continue;
      const std::int64_t in_ms = write.options.expires_in_ms;
      changes_[write.key].push_back({.revision = revision,
                                     .put = write.value.has_value(),
                                     .expires_ms = in_ms == 0 ? 0 : now_ms + in_ms});
    }
  }
  // Whatever is due gets a tombstone.
  void Expire(common::Revision revision, std::int64_t now_ms) {
    for (auto& [key, changes] : changes_) {
      if (changes.empty() || !changes.back().put || IsLive(key, now_ms)) continue;
      changes.push_back({.revision = revision});
    }
  }

  // What WATCH has seen is so at this moment, and has been all the time.
  bool Holds(const std::string& key, const agent::SeenKey& seen, common::Revision floor,
             std::int64_t now_ms) const {
    const bool live = IsLive(key, now_ms);
    if (seen.version) return live && seen.version->revision == Last(key);
    return !live && seen.absent_since.revision >= std::max(floor, Last(key));
  }
  // A key was put behind `revision`.
  bool WasPutSince(const std::string& key, common::Revision revision) const {
    const auto found = changes_.find(key);
    return found != changes_.end() &&
           std::ranges::any_of(found->second, [revision](const Change& change) {
             return change.put && change.revision > revision;
           });
  }
  // What a key was after `revision`; absent: not there, or expired.
  std::optional<common::Revision> At(const std::string& key, common::Revision revision,
                                     std::int64_t now_ms) const {
    std::optional<common::Revision> version;
    const auto found = changes_.find(key);
    if (found == changes_.end()) return version;
    for (const Change& change : found->second) {
      if (change.revision > revision) break;
      version = change.LiveAt(now_ms) ? std::optional(change.revision) : std::nullopt;
    }
    return version;
  }

 private:
  struct Change {
    common::Revision revision = 0;
    bool put = false;             // else it was removed
    std::int64_t expires_ms = 0;  // 0: never
    bool LiveAt(std::int64_t now_ms) const {
      return put && (expires_ms == 0 || expires_ms > now_ms);
    }
  };

  bool IsLive(const std::string& key, std::int64_t now_ms) const {
    const auto found = changes_.find(key);
    return found != changes_.end() && !found->second.empty() && found->second.back().LiveAt(now_ms);
  }
  common::Revision Last(const std::string& key) const {
    const auto found = changes_.find(key);
    return found == changes_.end() || found->second.empty() ? 0 : found->second.back().revision;
  }

  std::map<std::string, std::vector<Change>> changes_;  // in order of revision
};

}  // namespace sim
