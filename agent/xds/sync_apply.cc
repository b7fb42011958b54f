// SyncCore: entries – from responses to the cache, and the acknowledgements that follow.
#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/xds/sync_core.h"
#include "common/limits.h"

namespace agent {
namespace {

using common::Collection;
using common::Status;
using Kind = CacheStep::Kind;
using common::kHeldMax;

}  // namespace

void SyncCore::OnEntries(const common::DeltaResponseView& view,
                         std::shared_ptr<const std::string> bytes) {
  if (entry_acks_.empty()) held_since_ = clock_.Now();
  AssemblyOutcome outcome = assembler_.OnResponse(view, std::move(bytes));
  Ack ack{.nonce = std::string(view.nonce), .error = {}};
  std::string why = std::move(outcome.refused);
  for (const std::string& rejected : outcome.rejected) {
    why.append(why.empty() ? "" : "; ").append(rejected);
  }
  if (!why.empty()) {
    ack.error = common::ErrorDetail{static_cast<int>(common::StatusCode::kInvalidArgument), why};
  }
  for (const Collection& collection : outcome.answered) {
    entries_.OnAnswer(common::CollectionName(collection));
    if (const auto it = copies_.find(collection); it != copies_.end()) it->second.note.clear();
  }
  entry_acks_.push_back(std::move(ack));
  if (RunSteps(outcome.steps)) ReleaseEntryAcks();
}

void SyncCore::ReleaseEntryAcks() {
  if (assembler_.held_bytes() > 0) return;  // not durable yet
  for (const Ack& ack : entry_acks_) Respond(common::kEntryType, ack);
  entry_acks_.clear();
}

// False: a write failed and the stream is being closed.
bool SyncCore::RunSteps(std::vector<CacheStep>& steps) {
  for (CacheStep& step : steps) {
    if (const Status done = RunStep(step); !done.ok()) {
      Fail(done);
      return false;
    }
  }
  return true;
}

Status SyncCore::RunStep(CacheStep& step) {
  const auto it = copies_.find(step.collection);
  CHECK(it != copies_.end());
  const common::MonotonicTime start = clock_.Now();
  RETURN_IF_ERROR(WriteStep(step));
  if (!step.batch.changes.empty()) {
    totals_.entries_applied += step.batch.changes.size();
    totals_.apply_seconds += std::chrono::duration<double>(clock_.Now() - start).count();
  }
  if (!totals_.apply_error.empty()) {
    log_.Info("applying again");
    totals_.apply_error.clear();
  }
  StepDone(step, it->second);
  return common::OkStatus();
}

Status SyncCore::WriteStep(CacheStep& step) {
  switch (step.kind) {
    case Kind::kAllow:
      return writer_.Deny(step.collection, Denial::kNone);
    case Kind::kDeny:
      return writer_.Deny(step.collection, step.denial);
    case Kind::kBeginLoad:
      return writer_.BeginLoad(step.collection, step.version);
    case Kind::kLoad:
      return writer_.Load(step.collection, step.batch.changes);
    case Kind::kStage:
      return writer_.Stage(step.collection, step.batch.changes);
    case Kind::kDropStaged:
      return writer_.DropStaged(step.collection);
    case Kind::kApply:
      return writer_.Apply(step.collection, step.batch.changes, step.version);
  }
  CHECK(false);
  return common::OkStatus();
}

void SyncCore::StepDone(const CacheStep& step, Copy& copy) {
  switch (step.kind) {
    case Kind::kAllow:
      return;
    case Kind::kDeny:
      log_.Warn("copy denied by the control plane",
                {{"dataset", step.collection.dataset},
                 {"reason", step.denial == Denial::kNoDataset ? "no such dataset"
                                                              : "not among its consumers"}});
      copy.cursor.reset();
      copy.proof.Forget();
      copy.restart = copy.restart_asked = copy.faulted = copy.mismatch = copy.staged =
          copy.loading = false;
      return;
    case Kind::kBeginLoad:
      copy.restart = copy.restart_asked = false;
      copy.loading = true;
      copy.loading_since = clock_.Now();
      return;
    case Kind::kLoad:
      return;
    case Kind::kStage:
      copy.staged = true;
      return;
    case Kind::kDropStaged:
      copy.staged = false;
      return;
    case Kind::kApply:
      return Applied(step, copy);
  }
}

void SyncCore::Applied(const CacheStep& step, Copy& copy) {
  ++totals_.applies;
  const bool loaded = std::exchange(copy.loading, false);
  copy.staged = false;
  copy.cursor = step.version;
  if (loaded) {
    copy.since = clock_.Now();
    copy.faulted = false;
    const std::chrono::duration<double> took = clock_.Now() - copy.loading_since;
    log_.Info("copy loaded", {{"collection", common::CollectionName(step.collection)},
                              {"revision", step.version.revision},
                              {"seconds", took.count()}});
    states_.Ask(common::DatasetStateName(step.collection.dataset));  // fresh, and right?
  }
  copy.proof.OnApplied(step.version);
  if (copy.proof.proven_at()) copy.bridged = false;
  CheckDigest(copy);
}

// --- time ---------------------------------------------------------------------------------------

common::MonotonicTime SyncCore::Tick() {
  const common::MonotonicTime now = clock_.Now();
  common::MonotonicTime next = now + common::kSyncTickMax;
  if (opened_ && !failed_) {
    if (now >= next_probe_) Probe();
    next = std::min(next, next_probe_);
    for (auto& [collection, copy] : copies_) {
      if (copy.restart && now >= copy.restart_after) Restart(copy);
    }
    ReportOverdue();
    if (!entry_acks_.empty()) {
      if (now - held_since_ >= kHeldMax) {
        std::vector<CacheStep> steps = assembler_.Spill();
        if (RunSteps(steps)) ReleaseEntryAcks();
      }
      next = std::min(next, held_since_ + kHeldMax);
    }
    Flush();
  }
  if (now >= next_status_ && (status_dirty_ || now - next_status_ >= common::kSyncTickMax))
    PublishStatus();
  if (status_dirty_) next = std::min(next, next_status_);
  return next;
}

void SyncCore::Probe() {
  next_probe_ = clock_.Now() + options_.freshness_interval;
  for (const auto& [collection, copy] : copies_) {
    const std::string name = common::DatasetStateName(collection.dataset);
    // One question at a time: its answer must not be taken for that to a later one.
    if (!states_.asked_at(name)) states_.Ask(name);
  }
}

void SyncCore::ReportOverdue() {
  for (const std::string& name : entries_.TakeOverdue(clock_.Now(), common::kAnswerTimeout)) {
    if (Copy* copy = FindCopy(name); copy != nullptr) {
      copy->note = "the control plane has not answered for 15 s";
      status_dirty_ = true;
    }
    log_.Warn("no answer from the control plane", {{"name", name}});
  }
}

}  // namespace agent
