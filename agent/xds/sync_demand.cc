// SyncCore: on demand – copies that hold the names that are read, and no others.
//
// Freshness of such a copy: a name that never exists (the sentinel) is subscribed again once per
// interval. Its answer comes after every change of names that was committed before the question, so
// everything that is held was right as of then.
#include <algorithm>
#include <utility>

#include "agent/xds/sync_core.h"
#include "agent/xds/sync_limits.h"

namespace agent {

using common::Collection;
using common::Error;
using common::Status;
using common::StatusCode;

namespace {

constexpr std::chrono::milliseconds kSweepInterval{1'000};
constexpr std::uint64_t kSweepsPerHalving = 600;

std::string NameOf(const HeldName& name) {
  return common::EntryName(name.collection.dataset, name.key);
}

// No key of a service's is likely to be this one; if it is, proofs are late, not wrong.
std::string SentinelOf(const Collection& collection) {
  return common::EntryName(collection.dataset, collection.prefix + std::string(1, '\0'));
}

DemandEntry EntryOf(std::string key, const EntryCopy& copy) {
  if (copy.version.absent) return {.key = std::move(key), .version = copy.version.version};
  return {.key = std::move(key),
          .found = true,
          .value = copy.value,
          .content_type = copy.content_type,
          .version = copy.version.version,
          .published_at_ms = copy.published_at_ms,
          .expires_at_ms = copy.version.expires_at_ms};
}

}  // namespace

// --- copies -------------------------------------------------------------------------------------

Status SyncCore::AddByName(const WantedCopy& wanted) {
  const Collection& collection = wanted.collection;
  if (const auto known = copies_.find(collection); known != copies_.end()) {
    known->second.wanted = wanted;
    return common::OkStatus();
  }
  RETURN_IF_ERROR(writer_.Add(collection, true));
  const std::uint64_t seed = static_cast<std::uint64_t>(clock_.UnixMillis());
  Copy copy{.wanted = wanted,
            .proof = {},
            .bridged = IsReadThrough(collection),
            .by_name = true,
            .cursor = {},
            .since = clock_.Now(),
            .restart_backoff = {common::kReloadBackoffMin, common::kReloadBackoffMax, seed},
            .note = {}};
  for (const CopyState& state : writer_.Copies()) {
    if (state.collection != collection) continue;
    copy.cursor = state.cursor;
    if (opened_ && entries_.opened()) assembler_.Track(state, CutAssembler::Offer::kNames);
  }
  copies_.emplace(collection, std::move(copy));
  states_.Want(common::DatasetStateName(collection.dataset));
  entries_.Want(SentinelOf(collection));
  demand_.AddCopy(collection);
  return writer_.EachVersion(collection, [&](std::string_view key, const EntryVersion& version) {
    demand_.Recall(collection, key, key.size() + version.bytes, version.absent, clock_.Now());
    return true;
  });
}

void SyncCore::DropByName(const Collection& collection, const Status& why) {
  entries_.Drop(SentinelOf(collection));
  DropNames(demand_.DropCopy(collection, why));
}

void SyncCore::DropNames(const std::vector<HeldName>& names) {
  for (const HeldName& name : names) entries_.Drop(NameOf(name));
}

// On a new stream: what is held is subscribed again, and answered if it has changed.
void SyncCore::WantNames(const CopyState& state, bool with_versions, InitialVersions& versions) {
  const Status read =
      writer_.EachVersion(state.collection, [&](std::string_view key, const EntryVersion& held) {
        std::string name = common::EntryName(state.collection.dataset, key);
        entries_.Want(name);
        const std::size_t bytes = name.size() + held.text.size() + 32;
        if (!with_versions || held.absent) return true;
        if (server_.versions_bytes + bytes > versions_bytes_max_) return true;
        server_.versions_bytes += bytes;
        versions.emplace_back(std::move(name),
                              held.text.empty() ? common::FormatVersion(held.version) : held.text);
        return true;
      });
  if (!read.ok()) OnFault(state.collection);
}

void SyncCore::DenyByName(const Collection& collection, Denial denial) {
  const Status why =
      denial == Denial::kNoPermission ? Error(StatusCode::kPermissionDenied,
                                              "not among the consumers of {}", collection.dataset)
      : denial == Denial::kNoDataset
          ? Error(StatusCode::kNotFound, "no dataset {}", collection.dataset)
          : Error(StatusCode::kUnavailable, "the copy of {} starts anew", collection.dataset);
  DropNames(demand_.DropCopy(collection, why));
  demand_.AddCopy(collection);
  Copy& copy = copies_.at(collection);
  copy.faulted = copy.restart = copy.restart_asked = false;
  copy.proof.Forget();
  if (const Status done = writer_.Deny(collection, denial); !done.ok()) return Fail(done);
  ScheduleErasure();
  status_dirty_ = true;
}

// The state of a dataset says whether its names may be had.
void SyncCore::ReviewDenied(const std::string& dataset, std::optional<Denial> denial) {
  if (!denial) return;  // it will pass
  for (const CopyState& state : writer_.Copies()) {
    if (!state.by_name || state.collection.dataset != dataset || state.denial == *denial) continue;
    log_.Info("on-demand copy reviewed",
              {{"dataset", dataset}, {"granted", *denial == Denial::kNone ? "yes" : "no"}});
    DenyByName(state.collection, *denial);
  }
}

// --- reads --------------------------------------------------------------------------------------

void SyncCore::OnAsked(std::vector<DemandQuestion> questions) {
  for (DemandQuestion& question : questions) {
    const OnDemand::Asked asked = demand_.Ask(std::move(question), clock_.Now());
    for (const HeldName& name : asked.tell) TellHeld(name);
    for (const HeldName& name : asked.subscribe) entries_.Want(NameOf(name));
  }
  if (!unreachable_) return;  // Tick sends what all have asked
  DropNames(demand_.FailAll(Error(StatusCode::kUnavailable, "the control plane is out of reach")));
}

// A reader has asked before it could see what is there.
void SyncCore::TellHeld(const HeldName& name) {
  const auto read = writer_.Read(name.collection, name.key);
  if (!read.ok()) {
    OnFault(name.collection);
    return demand_.Fail(name, Error(StatusCode::kUnavailable, "the copy is being replaced"));
  }
  const DemandEntry entry = *read ? EntryOf(name.key, **read) : DemandEntry{.key = name.key};
  const Copy& copy = copies_.at(name.collection);
  demand_.Tell(name, entry, copy.proof.proven_at().value_or(common::MonotonicTime{}));
}

void SyncCore::NamesStored(const CacheStep& step, const Copy&) {
  ++totals_.applies;
  for (const Change& change : step.batch.changes) {
    const HeldName name{step.collection, std::string(change.key)};
    const std::size_t bytes = change.key.size() + (change.entry ? change.entry->value.size() : 0);
    demand_.Stored(name, bytes, change.absent, clock_.Now());
    DemandEntry entry{.key = name.key, .version = change.version};
    if (change.entry && !change.absent) {
      entry.found = true;
      entry.value = change.entry->value;
      entry.content_type = change.entry->content_type;
      entry.published_at_ms = change.entry->published_at_ms;
      entry.expires_at_ms = change.entry->expires_at_ms;
    }
    demand_.Tell(name, entry, entries_.asked_at(NameOf(name)).value_or(clock_.Now()));
  }
}

// Errors of single names: our own server means the dataset, others the entry.
void SyncCore::TakeNameErrors(const common::DeltaResponseView& view) {
  if (demand_.copies() == 0) return;
  for (const common::ResourceErrorView& error : view.errors) {
    const auto parts = common::ParseEntryName(error.name);
    if (!parts || parts->is_collection) continue;
    const auto collection = demand_.CopyOf(parts->dataset, parts->key);
    if (!collection) continue;
    AnswerByName(error.name);
    const std::optional<Denial> denial = DenialOf(error.code);
    const HeldName name{*collection, parts->key};
    if (denial && IsTributary(server_.identifier)) {
      ReviewDenied(parts->dataset, denial);
    } else if (denial == Denial::kNoDataset) {
      NameOverdue(std::string(error.name));
    } else {
      demand_.Fail(name, Error(denial ? StatusCode::kPermissionDenied : StatusCode::kUnavailable,
                               "{}", error.message));
      if (!demand_.Wants(name.collection, name.key)) entries_.Drop(NameOf(name));
    }
  }
}

// A server that says nothing of a name has none of it.
void SyncCore::NameOverdue(const std::string& name) {
  const auto parts = common::ParseEntryName(name);
  if (!parts || parts->is_collection) return;
  const auto collection = demand_.CopyOf(parts->dataset, parts->key);
  if (!collection || !demand_.IsAsked({*collection, parts->key})) return;
  CacheStep step;
  step.kind = CacheStep::Kind::kApplyNames;
  step.collection = *collection;
  Change change{.key = parts->key, .version = {}, .entry = {}};
  change.absent = true;
  step.batch.changes.push_back(change);
  if (const Status done = RunStep(step); !done.ok()) Fail(done);
}

// --- freshness ----------------------------------------------------------------------------------

void SyncCore::AskSentinel(Copy& copy) {
  const std::string name = SentinelOf(copy.wanted.collection);
  if (entries_.asked_at(name)) return;  // one question at a time
  copy.position = copy.proof.head() ? copy.proof.head()->version : common::Version{};
  entries_.Ask(name);
}

void SyncCore::SentinelAnswered(std::string_view name) {
  const auto parts = common::ParseEntryName(name);
  if (!parts || parts->is_collection || !parts->key.ends_with('\0')) return;
  const auto it =
      copies_.find(Collection{parts->dataset, parts->key.substr(0, parts->key.size() - 1)});
  const auto asked = entries_.asked_at(name);
  if (it == copies_.end() || !it->second.by_name || !asked) return;
  Copy& copy = it->second;
  copy.proof.Prove(*asked);
  copy.bridged = false;
  status_dirty_ = true;
  if (copy.position.epoch == 0 || copy.cursor == copy.position) return;
  if (writer_.Apply(it->first, {}, copy.position).ok()) copy.cursor = copy.position;
}

// --- what must go -------------------------------------------------------------------------------

void SyncCore::SweepNames() {
  const common::MonotonicTime now = clock_.Now();
  if (now >= next_sweep_) {
    next_sweep_ = now + kSweepInterval;
    writer_.sketch().Tick();
    if (++sweeps_ % kSweepsPerHalving == 0) writer_.sketch().Halve();
  }
  const std::vector<HeldName> gone = demand_.Sweep(now);
  if (gone.empty()) return;
  if (const Status forgotten = ForgetNames(gone); !forgotten.ok()) return Fail(forgotten);
  DropNames(gone);
  Flush();
}

// First nobody takes them for held, then they are unsubscribed.
Status SyncCore::ForgetNames(const std::vector<HeldName>& names) {
  std::map<Collection, std::vector<Change>> removals;
  for (const HeldName& name : names) {
    Change change{.key = name.key, .version = {}, .entry = {}};
    change.quiet = true;
    removals[name.collection].push_back(change);
  }
  for (const auto& [collection, changes] : removals) {
    const auto cursor = copies_.at(collection).cursor.value_or(common::Version{});
    RETURN_IF_ERROR(writer_.Apply(collection, changes, cursor));
  }
  return common::OkStatus();
}

}  // namespace agent
