// Writer: each call copies the record of its collection, changes data and record in one
// transaction, and takes the new record over when it is committed.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/cache/change_rules.h"
#include "agent/cache/environment.h"
#include "agent/cache/generation_edit.h"
#include "agent/cache/layout.h"
#include "agent/cache/writer_impl.h"
#include "common/limits.h"

namespace agent {

using common::Collection;
using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;
using common::lmdb::WriteTxn;

namespace {

Status ValidateCollection(const Collection& collection) {
  RETURN_IF_ERROR(common::ValidateDatasetName(collection.dataset));
  if (collection.prefix.size() <= common::kKeyBytesMax) return OkStatus();
  return common::InvalidArgument("prefix has {} bytes, at most {} are allowed",
                                 collection.prefix.size(), common::kKeyBytesMax);
}

bool IsEmpty(const CopyRecord& record, Denial denial) {
  if (record.by_name && denial == Denial::kNone) return record.denial == denial;
  return record.denial == denial && !record.ready && !record.loading && record.staged == 0;
}

bool HasData(const CopyRecord& record) {
  return record.ready.has_value() || record.loading.has_value() || record.staged != 0;
}

}  // namespace

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::~Writer() = default;

// --- transactions -----------------------------------------------------------------------------

StatusOr<WriteTxn> Writer::Impl::Begin() {
  ASSIGN_OR_RETURN(WriteTxn txn, environment->env.BeginWrite());
  if (!staging_is_foreign) return txn;
  RETURN_IF_ERROR(txn.Clear(environment->staging));
  for (const auto& [collection, record] : copies) {
    RETURN_IF_ERROR(txn.Put(environment->copies, CopyKey(record.id), EncodeCopyRecord(record)));
  }
  return txn;
}

Status Writer::Impl::BumpLayout(WriteTxn& txn) {
  std::string value;
  common::lmdb::AppendBigEndian64(layout + 1, value);
  return txn.Put(environment->meta, kMetaLayout, value);
}

void Writer::Impl::Committed(Kind kind) {
  staging_is_foreign = false;
  if (kind == Kind::kLayout) ++layout;
}

// Broken data takes the copy out of service. Without room, an empty transaction follows: LMDB uses
// pages that one commit has freed only after the next, and a failed one is none, so without it
// trying again could fail for ever.
Status Writer::Impl::Failed(Status status, const CopyRecord& record) {
  if (status.code() == StatusCode::kDataLoss && record.ready && !record.loading) {
    environment->faults->Report(record.collection, record.ready->serial);
  }
  if (status.code() == StatusCode::kResourceExhausted) CommitNothing().IgnoreError();
  return status;
}

Status Writer::Impl::CommitNothing() {
  ASSIGN_OR_RETURN(WriteTxn txn, environment->env.BeginWrite());
  RETURN_IF_ERROR(txn.Put(environment->meta, kMetaTurn, std::to_string(txn.id())));
  return txn.Commit();
}

void Writer::Impl::ForgetFaults(const CopyRecord& before, const CopyRecord& after) {
  if (!before.ready) return;
  if (after.ready && after.ready->serial == before.ready->serial) return;
  environment->faults->Forget(before.ready->serial);
}

// --- parts of transactions ----------------------------------------------------------------------

StatusOr<std::uint32_t> Writer::Impl::FreeSlot() {
  std::set<std::uint32_t> used;
  for (const auto& [collection, record] : copies) {
    if (record.ready) used.insert(record.ready->slot);
    if (record.loading) used.insert(record.loading->slot);
  }
  std::uint32_t slot = 0;
  while (used.contains(slot)) ++slot;
  if (slot >= common::kGenerationsMax) {
    return Error(StatusCode::kResourceExhausted, "all {} generation slots are in use",
                 common::kGenerationsMax);
  }
  RETURN_IF_ERROR(environment->slots.Open(environment->env, slot));
  return slot;
}

// In a free slot, empty and complete.
StatusOr<std::optional<Generation>> Writer::Impl::NewGeneration() {
  Generation generation;
  ASSIGN_OR_RETURN(generation.slot, FreeSlot());
  generation.serial = layout + 1;
  return std::optional(generation);
}

Status Writer::Impl::NewLoad(const Collection& collection, const common::Version& at,
                             bool repairs) {
  ASSIGN_OR_RETURN(const std::uint32_t slot, FreeSlot());
  const auto begin = [&](WriteTxn& txn, CopyRecord& record) -> Status {
    RETURN_IF_ERROR(Drop(txn, record.loading));
    RETURN_IF_ERROR(DropStaged(txn, record));
    record.denial = Denial::kNone;
    record.repairs = repairs;
    Generation& loading = record.loading.emplace();
    loading.slot = slot;
    loading.serial = layout + 1;
    loading.at = at;
    return OkStatus();
  };
  return Transact(collection, Kind::kLayout, begin);
}

Status Writer::Impl::Drop(WriteTxn& txn, std::optional<Generation>& generation) {
  if (!generation) return OkStatus();
  RETURN_IF_ERROR(txn.Clear(environment->slots.Dbi(generation->slot)));
  generation.reset();
  return OkStatus();
}

Status Writer::Impl::DropStaged(WriteTxn& txn, CopyRecord& record) {
  for (std::uint64_t ordinal = 0; ordinal < record.staged; ++ordinal) {
    RETURN_IF_ERROR(txn.Delete(environment->staging, StagingKey(record.id, ordinal)).status());
  }
  record.staged = 0;
  return OkStatus();
}

Status Writer::Impl::Erase(WriteTxn& txn, CopyRecord& record) {
  record.repairs = false;
  RETURN_IF_ERROR(Drop(txn, record.ready));
  RETURN_IF_ERROR(Drop(txn, record.loading));
  return DropStaged(txn, record);
}

Status Writer::Impl::Edit(GenerationEdit& edit, std::string_view key, std::string_view bytes,
                          const std::optional<EntryRecord>& record, const common::Version& version,
                          Notice* notice) {
  ASSIGN_OR_RETURN(const bool differs, record ? edit.Put(key, bytes, *record) : edit.Remove(key));
  if (differs && notice != nullptr) notice->Add(key, !record || record->absent, version);
  return OkStatus();
}

Status Writer::Impl::EditAll(GenerationEdit& edit, std::span<const Change> changes,
                             Notice* notice) {
  for (const Change& change : changes) {
    if (change.renews) {
      RETURN_IF_ERROR(edit.Renew(change.key, change.version, change.entry->expires_at_ms));
      continue;
    }
    buffer.clear();
    std::optional<EntryRecord> record;
    if (change.absent) {
      record = AppendAbsenceRecord(change.key, change.version, buffer);
    } else if (change.entry) {
      record =
          AppendEntryRecord(change.key, change.version, *change.entry, buffer, change.version_text);
    }
    RETURN_IF_ERROR(
        Edit(edit, change.key, buffer, record, change.version, change.quiet ? nullptr : notice));
  }
  return OkStatus();
}

Status Writer::Impl::EditStaged(WriteTxn& txn, GenerationEdit& edit, const CopyRecord& record,
                                Notice* notice) {
  for (std::uint64_t ordinal = 0; ordinal < record.staged; ++ordinal) {
    ASSIGN_OR_RETURN(const std::optional<std::string_view> stored,
                     txn.Get(environment->staging, StagingKey(record.id, ordinal)));
    if (!stored) return Error(StatusCode::kDataLoss, "a staged change is missing");
    buffer = *stored;  // the view ends with the next write
    const std::optional<StagedChange> staged = ParseStagedChange(buffer);
    if (!staged) return Error(StatusCode::kDataLoss, "a staged change is malformed");
    const std::optional<EntryRecord> entry = ParseEntryRecord(staged->record);
    if (!entry && !staged->record.empty()) {
      return Error(StatusCode::kDataLoss, "a staged entry is malformed");
    }
    RETURN_IF_ERROR(Edit(edit, staged->key, staged->record, entry,
                         entry ? entry->version : common::Version(), notice));
  }
  return OkStatus();
}

// Into the generation being filled, else into the readable one.
Status Writer::Impl::EditCut(WriteTxn& txn, CopyRecord& record, std::span<const Change> changes,
                             Notice* notice) {
  std::optional<Generation>& target = record.loading ? record.loading : record.ready;
  if (!target) {
    return Error(StatusCode::kFailedPrecondition, "no generation of {}: begin a load",
                 CollectionName(record.collection));
  }
  GenerationEdit edit(txn, environment->slots.Dbi(target->slot), *target,
                      record.loading ? nullptr : &changed);
  RETURN_IF_ERROR(EditStaged(txn, edit, record, notice));
  RETURN_IF_ERROR(EditAll(edit, changes, notice));
  return DropStaged(txn, record);
}

// --- the calls --------------------------------------------------------------------------------

std::vector<CopyState> Writer::Copies() const {
  std::vector<CopyState> states;
  for (const auto& [collection, record] : impl_->copies) states.push_back(StateOf(record));
  return states;
}

Status Writer::Add(const Collection& collection, bool by_name) {
  if (const auto found = impl_->copies.find(collection); found != impl_->copies.end()) {
    if (found->second.by_name == by_name) return OkStatus();
    return Error(StatusCode::kFailedPrecondition, "the copy of {} is of another kind",
                 CollectionName(collection));
  }
  RETURN_IF_ERROR(ValidateCollection(collection));
  if (impl_->copies.size() >= common::kCopiesMax) {
    return Error(StatusCode::kResourceExhausted, "an agent carries at most {} collections",
                 common::kCopiesMax);
  }
  CopyRecord record;
  record.id = impl_->next_id;
  record.collection = collection;
  record.by_name = by_name;
  if (by_name) {
    ASSIGN_OR_RETURN(record.ready, impl_->NewGeneration());
  }
  ASSIGN_OR_RETURN(WriteTxn txn, impl_->Begin());
  RETURN_IF_ERROR(impl_->BumpLayout(txn));
  RETURN_IF_ERROR(
      txn.Put(impl_->environment->copies, CopyKey(record.id), EncodeCopyRecord(record)));
  RETURN_IF_ERROR(txn.Commit());
  impl_->Committed(Impl::Kind::kLayout);
  ++impl_->next_id;
  impl_->copies.emplace(collection, std::move(record));
  return OkStatus();
}

Status Writer::Remove(const Collection& collection) {
  const auto found = impl_->copies.find(collection);
  if (found == impl_->copies.end()) return OkStatus();
  CopyRecord record = found->second;
  ASSIGN_OR_RETURN(WriteTxn txn, impl_->Begin());
  RETURN_IF_ERROR(impl_->NoteErasure(txn, record));
  RETURN_IF_ERROR(impl_->Erase(txn, record));
  RETURN_IF_ERROR(txn.Delete(impl_->environment->copies, CopyKey(record.id)).status());
  RETURN_IF_ERROR(impl_->BumpLayout(txn));
  RETURN_IF_ERROR(txn.Commit());
  impl_->Committed(Impl::Kind::kLayout);
  impl_->erasure_pending |= HasData(found->second);
  impl_->ForgetFaults(found->second, record);
  const bool was_readable = found->second.ready.has_value();
  impl_->copies.erase(found);
  if (was_readable) impl_->listener.OnReplaced(record.collection.dataset);
  return OkStatus();
}

Status Writer::Deny(const Collection& collection, Denial denial) {
  const auto found = impl_->copies.find(collection);
  if (found != impl_->copies.end() && IsEmpty(found->second, denial)) return OkStatus();
  bool was_readable = false;
  bool had_data = false;
  std::optional<Generation> anew;  // a copy by name is readable at once
  if (found != impl_->copies.end() && found->second.by_name && denial == Denial::kNone) {
    ASSIGN_OR_RETURN(anew, impl_->NewGeneration());
  }
  Status status = impl_->Transact(collection, Impl::Kind::kLayout,
                                  [&](WriteTxn& txn, CopyRecord& record) -> Status {
                                    was_readable = record.ready.has_value();
                                    had_data = HasData(record);
                                    record.denial = denial;
                                    RETURN_IF_ERROR(impl_->NoteErasure(txn, record));
                                    RETURN_IF_ERROR(impl_->Erase(txn, record));
                                    record.ready = anew;
                                    return OkStatus();
                                  });
  if (!status.ok()) return status;
  impl_->erasure_pending |= had_data;
  if (was_readable) impl_->listener.OnReplaced(collection.dataset);
  return OkStatus();
}

Status Writer::BeginLoad(const Collection& collection, const common::Version& at) {
  return impl_->NewLoad(collection, at, false);
}

Status Writer::Load(const Collection& collection, std::span<const Change> changes) {
  RETURN_IF_ERROR(ValidateChanges(collection, changes));
  return impl_->Transact(
      collection, Impl::Kind::kEntries, [&](WriteTxn& txn, CopyRecord& record) -> Status {
        if (!record.loading) {
          return Error(StatusCode::kFailedPrecondition, "no load of {} was begun",
                       CollectionName(collection));
        }
        GenerationEdit edit(txn, impl_->environment->slots.Dbi(record.loading->slot),
                            *record.loading, nullptr);
        return impl_->EditAll(edit, changes, nullptr);
      });
}

Status Writer::Stage(const Collection& collection, std::span<const Change> changes) {
  RETURN_IF_ERROR(ValidateChanges(collection, changes));
  return impl_->Transact(
      collection, Impl::Kind::kEntries, [&](WriteTxn& txn, CopyRecord& record) -> Status {
        for (const Change& change : changes) {
          if (change.renews) continue;  // the next heartbeat does it
          impl_->buffer.clear();
          AppendStagedChange(change, impl_->buffer);
          RETURN_IF_ERROR(txn.Put(impl_->environment->staging, StagingKey(record.id, record.staged),
                                  impl_->buffer));
          ++record.staged;
        }
        return OkStatus();
      });
}

Status Writer::Apply(const Collection& collection, std::span<const Change> changes,
                     const common::Version& cursor) {
  RETURN_IF_ERROR(ValidateChanges(collection, changes));
  const auto found = impl_->copies.find(collection);
  const bool swaps = found != impl_->copies.end() && found->second.loading.has_value();
  Notice notice;
  Notice* const wanted = !swaps && impl_->listener.Wants() ? &notice : nullptr;
  const auto body = [&](WriteTxn& txn, CopyRecord& record, std::span<const Change> cut) -> Status {
    notice = {.dataset = collection.dataset};
    RETURN_IF_ERROR(impl_->EditCut(txn, record, cut, wanted));
    (swaps ? record.loading : record.ready)->at = cursor;
    if (!swaps) return OkStatus();
    RETURN_IF_ERROR(impl_->Drop(txn, record.ready));
    record.ready = std::exchange(record.loading, std::nullopt);
    record.repairs = false;
    return OkStatus();
  };
  const auto kind = swaps ? Impl::Kind::kLayout : Impl::Kind::kEntries;
  RETURN_IF_ERROR(impl_->TransactCut(collection, kind, changes, body));
  // Who began to listen while this was written may have read the state before it.
  const bool untold = wanted == nullptr && !changes.empty() && impl_->listener.Wants();
  if (swaps || untold) impl_->listener.OnReplaced(collection.dataset);
  notice.Send(impl_->listener);
  impl_->listener.OnApplied();
  return OkStatus();
}

Status Writer::DropStaged(const Collection& collection) {
  const auto found = impl_->copies.find(collection);
  if (found != impl_->copies.end() && found->second.staged == 0) return OkStatus();
  return impl_->Transact(
      collection, Impl::Kind::kEntries,
      [&](WriteTxn& txn, CopyRecord& record) -> Status { return impl_->DropStaged(txn, record); });
}

}  // namespace agent
