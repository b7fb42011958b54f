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
                         const std::shared_ptr<const std::string>& bytes) {
  if (entry_acks_.empty()) held_since_ = clock_.Now();
  server_.entries_answered = true;
  const Moment moment{
      .now = clock_.Now(),
      .unix_ms = clock_.UnixMillis(),
      .wants = [this](const Collection& collection,
                      std::string_view key) { return demand_.Wants(collection, key); },
      .held =
          [this](const Collection& collection, std::string_view key) {
            return writer_.Find(collection, key).value_or(std::nullopt);
          }};
  // `bytes` stay until the end: the names in `view` lie in them.
  AssemblyOutcome outcome = assembler_.OnResponse(view, bytes, moment);
  std::vector<std::string> rejected = std::move(outcome.rejected);
  if (!outcome.refused.empty()) rejected.insert(rejected.begin(), outcome.refused);
  for (const Collection& collection : outcome.unrepaired) Restart(copies_.at(collection));
  for (const Collection& collection : outcome.answered) {
    entries_.OnAnswer(common::CollectionName(collection));
    if (const auto it = copies_.find(collection); it != copies_.end()) it->second.note.clear();
  }
  entry_acks_.push_back(AckOf(view.nonce, rejected));
  Remember(outcome.rejected_keys);
  for (EntryExpiry& expiry : outcome.expiries) {
    expiries_.emplace(expiry.at_ms, std::pair(std::move(expiry.collection), std::move(expiry.key)));
  }
  if (!RunSteps(outcome.steps)) return;
  TakeNameErrors(view);
  for (const common::ResourceView& resource : view.resources) AnswerByName(resource.name);
  for (const std::string_view name : view.removed) AnswerByName(name);
  for (const auto& [collection, key] : outcome.rejected_keys) {
    demand_.Fail({collection, key}, common::Error(common::StatusCode::kUnavailable,
                                                  "what the control plane sent was rejected"));
  }
  for (const auto& [collection, buckets] : outcome.questions) AnswerQuestion(collection, buckets);
  LearnServer();
  if (!failed_) ReleaseEntryAcks();
}

// Names are subscribed beside collections only on demand, and for what was rejected.
void SyncCore::AnswerByName(std::string_view name) {
  if (rejected_.all().empty() && demand_.copies() == 0) return;
  SentinelAnswered(name);
  entries_.OnAnswer(name);
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
  if (rejected_.CountOf(step.collection) != 0) NoteTaken(step, it->second);
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
    case Kind::kBeginRepair:
      return writer_.BeginRepair(step.collection, step.version, *step.resent);
    case Kind::kLoad:
      return writer_.Load(step.collection, step.batch.changes);
    case Kind::kStage:
      return writer_.Stage(step.collection, step.batch.changes);
    case Kind::kDropStaged:
      return writer_.DropStaged(step.collection);
    case Kind::kApplyNames:
      return writer_.Apply(step.collection, step.batch.changes,
                           copies_.at(step.collection).cursor.value_or(common::Version{}));
    case Kind::kKeep:
      return writer_.Keep(step.collection, step.keys);
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
      ScheduleErasure();
      return;
    case Kind::kBeginRepair:
      ++totals_.repairs;
      log_.Info("copy is repaired by digests",
                {{"collection", common::CollectionName(step.collection)},
                 {"buckets", step.resent->count()},
                 {"sent_anew", step.resent->size()}});
      [[fallthrough]];
    case Kind::kBeginLoad:
      copy.restart = copy.restart_asked = false;
      copy.loading = true;
      copy.loading_since = clock_.Now();
      return;
    case Kind::kApplyNames:
      return NamesStored(step, copy);
    case Kind::kLoad:
    case Kind::kKeep:
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
  if (opened_ && !failed_) next = std::min(next, TickStream(now));
  if (!expiries_.empty()) next = std::min(next, TickExpiries(now));
  if (demand_.copies() != 0) {
    if (now >= next_sweep_ || now >= demand_.deadline().value_or(next_sweep_)) SweepNames();
    next = std::min({next, next_sweep_, demand_.deadline().value_or(next_sweep_)});
  }
  if (erase_at_ && now >= *erase_at_) EraseFromDisk();
  if (erase_at_) next = std::min(next, *erase_at_);
  const bool status_due = status_dirty_ || now - next_status_ >= common::kSyncTickMax;
  if (now >= next_status_ && status_due) PublishStatus();
  if (status_dirty_) next = std::min(next, next_status_);
  return next;
}

common::MonotonicTime SyncCore::TickStream(common::MonotonicTime now) {
  if (now >= next_probe_) Probe();
  common::MonotonicTime next = next_probe_;
  for (auto& [collection, copy] : copies_) {
    if (copy.restart && now >= copy.restart_after) Restart(copy);
  }
  ReportOverdue();
  if (const auto due = assembler_.due()) {
    std::vector<CacheStep> steps;
    if (now >= *due) steps = assembler_.OnTime(now);
    RunSteps(steps);
    next = std::min(next, assembler_.due().value_or(next));
  }
  if (!entry_acks_.empty()) {
    if (now - held_since_ >= kHeldMax) {
      std::vector<CacheStep> steps = assembler_.Spill();
      if (RunSteps(steps)) ReleaseEntryAcks();
    }
    next = std::min(next, held_since_ + kHeldMax);
  }
  Flush();
  return next;
}

common::MonotonicTime SyncCore::TickExpiries(common::MonotonicTime now) {
  ExpireEntries();
  if (expiries_.empty()) return common::MonotonicTime::max();
  return now + std::chrono::milliseconds(expiries_.begin()->first - clock_.UnixMillis());
}

void SyncCore::Probe() {
  next_probe_ = clock_.Now() + options_.freshness_interval;
  for (auto& [collection, copy] : copies_) {
    if (copy.by_name) AskSentinel(copy);
    const std::string name = common::DatasetStateName(collection.dataset);
    // One question at a time: its answer must not be taken for that to a later one.
    if (!states_.asked_at(name)) states_.Ask(name);
  }
}

void SyncCore::ReportOverdue() {
  const std::chrono::milliseconds timeout =
      server_.reports_errors ? kAnswerTimeoutWithErrors : common::kAnswerTimeout;
  for (const std::string& name : entries_.TakeOverdue(clock_.Now(), timeout)) {
    if (Copy* copy = FindCopy(name); copy != nullptr) {
      copy->note = fmt::format("the control plane has not answered for {} s",
                               std::chrono::duration_cast<std::chrono::seconds>(timeout).count());
      status_dirty_ = true;
    }
    NameOverdue(name);
    log_.Warn(overdue_limiter_, "no answer from the control plane", {{"name", name}});
  }
}

}  // namespace agent
