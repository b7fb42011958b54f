// SyncCore: single entries – those that were rejected, and those that end by themselves – and the
// disk, from which erased ones must vanish.
#include <chrono>
#include <utility>

#include "agent/xds/sync_core.h"
#include "agent/xds/sync_limits.h"

namespace agent {

using common::Collection;
using common::Status;
using Kind = CacheStep::Kind;

namespace {

constexpr std::string_view kMetaRejected = "rejected";
constexpr std::chrono::milliseconds kExpireAgain{1'000};  // after a load, or a failed write

}  // namespace

// --- rejected -----------------------------------------------------------------------------------

Status SyncCore::RecallRejected() {
  ASSIGN_OR_RETURN(const std::string bytes, writer_.GetMeta(kMetaRejected));
  rejected_ = RejectedKeys::Decode(bytes).value_or(RejectedKeys());
  return common::OkStatus();
}

Status SyncCore::ForgetRejected(const Collection& collection) {
  if (rejected_.CountOf(collection) == 0) return common::OkStatus();
  rejected_.Forget(collection);
  return writer_.SetMeta(kMetaRejected, rejected_.Encode());
}

void SyncCore::KeepRejected() {
  const Status kept = writer_.SetMeta(kMetaRejected, rejected_.Encode());
  if (!kept.ok()) Fail(kept);
}

void SyncCore::Remember(const std::vector<std::pair<Collection, std::string>>& rejected) {
  bool added = false;
  for (const auto& [collection, key] : rejected) added |= rejected_.Add(collection, key);
  if (added) KeepRejected();
}

// What was rejected counts as taken when a reader can see it.
void SyncCore::NoteTaken(const CacheStep& step, Copy& copy) {
  for (const Change& change : step.batch.changes) {
    if (rejected_.Has(step.collection, change.key)) copy.taken.emplace_back(change.key);
  }
  if (step.kind != Kind::kApply || copy.taken.empty()) return;
  for (const std::string& key : copy.taken) {
    if (!rejected_.Remove(step.collection, key)) continue;
    entries_.Drop(common::EntryName(step.collection.dataset, key));
  }
  copy.taken.clear();
  KeepRejected();
}

// --- ends by itself -----------------------------------------------------------------------------

void SyncCore::RecallExpiries() {
  for (const CopyState& state : writer_.Copies()) {
    if (!state.complete || state.cursor.epoch != kForeignEpoch) continue;
    const Status read = writer_.EachVersion(
        state.collection, [&](std::string_view key, const EntryVersion& version) {
          if (version.expires_at_ms != 0) {
            expiries_.emplace(version.expires_at_ms, std::pair(state.collection, std::string(key)));
          }
          return true;
        });
    if (!read.ok()) OnFault(state.collection);
  }
}

// Readers hide an expired entry by themselves; this takes it out of the copy.
void SyncCore::ExpireEntries() {
  const std::int64_t now = clock_.UnixMillis();
  std::map<Collection, std::vector<std::string>> due;
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    auto& [collection, key] = expiries_.begin()->second;
    due[std::move(collection)].push_back(std::move(key));
    expiries_.erase(expiries_.begin());
  }
  for (const auto& [collection, keys] : due) {
    if (Expire(collection, keys).ok()) continue;
    for (const std::string& key : keys) {
      expiries_.emplace(now + kExpireAgain.count(), std::pair(collection, key));
    }
  }
}

Status SyncCore::Expire(const Collection& collection, const std::vector<std::string>& keys) {
  const auto it = copies_.find(collection);
  if (it == copies_.end() || !it->second.cursor) return common::OkStatus();
  // A write would end the load, or what waits for a marker.
  if (it->second.loading || it->second.staged)
    return common::Error(common::StatusCode::kAborted, "");
  std::vector<Change> changes;
  for (const std::string& key : keys) {
    ASSIGN_OR_RETURN(const std::optional<EntryVersion> held, writer_.Find(collection, key));
    if (!held || held->expires_at_ms == 0 || held->expires_at_ms > clock_.UnixMillis()) continue;
    changes.push_back({.key = key, .version = held->version, .entry = {}});
  }
  if (changes.empty()) return common::OkStatus();
  return writer_.Apply(collection, changes, *it->second.cursor);
}

// --- erased -------------------------------------------------------------------------------------

void SyncCore::ScheduleErasure() {
  if (writer_.erasure_pending() && !erase_at_) erase_at_ = clock_.Now() + kEraseDelay;
}

void SyncCore::EraseFromDisk() {
  erase_at_.reset();
  const common::MonotonicTime start = clock_.Now();
  const Status done = writer_.FinishErasure();
  const std::chrono::duration<double> took = clock_.Now() - start;
  if (done.ok()) {
    log_.Info("erased copies are gone from the disk", {{"seconds", took.count()}});
    return;
  }
  erase_at_ = clock_.Now() + kEraseAgain;
  log_.Error("erased copies are still on the disk, will try again", {{"reason", done}});
}

}  // namespace agent
