#include "control-plane/store/group_writer.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "control-plane/store/validate.h"
#include "common/names.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
using layout::PublisherRecord;
namespace lmdb = common::lmdb;

constexpr std::size_t kDeadExpiriesMax = 1'000;

// A publisher without a usable id has no memory; validation refuses such batches (validate.h).
bool IsRemembered(const Batch& batch) {
  return !batch.publisher_id.empty() && batch.sequence > 0 &&
         batch.publisher_id.size() <= kPublisherKeyBytesMax;
}

Outcome Refusal(common::Status status) { return {.status = std::move(status)}; }

void MarkSkipped(std::uint32_t write, Outcome& outcome) {
  const std::size_t byte = write / 8;
  if (outcome.skipped.size() <= byte) outcome.skipped.resize(byte + 1);
  outcome.skipped[byte] = static_cast<char>(outcome.skipped[byte] | 1 << write % 8);
}

// The outcome of a batch that was decided before; absent: it is new.
std::optional<Outcome> Recall(const PublisherRecord& publisher, const Batch& batch) {
  if (batch.sequence > publisher.last_sequence) return std::nullopt;
  const auto found = std::ranges::lower_bound(publisher.decided, batch.sequence, {},
                                              &PublisherRecord::Decided::sequence);
  if (found != publisher.decided.end() && found->sequence == batch.sequence) {
    if (!found->old_lost) return found->outcome;
    return Refusal(Error(StatusCode::kDataLoss,
                         "batch {} was applied at revision {}, but the value that it replaced is "
                         "not known any more",
                         batch.sequence, found->outcome.revision));
  }
  return Refusal(Error(StatusCode::kOutOfRange,
                       "batch {} of publisher {} is too old: of the outcomes up to {} at most {} "
                       "are kept, whether it was applied is not known any more",
                       batch.sequence, batch.publisher_id, publisher.last_sequence,
                       common::kPublisherResultsKept));
}

}  // namespace

common::Status GroupWriter::Start() {
  ASSIGN_OR_RETURN(head_, ReadMeta64(txn_, tables_, layout::kMetaHead));
  ASSIGN_OR_RETURN(next_dataset_, ReadMeta32(txn_, tables_, layout::kMetaNextDataset));
  ASSIGN_OR_RETURN(lmdb::Cursor changes, lmdb::Cursor::Open(txn_, tables_.changes));
  RETURN_IF_ERROR(changes.Last());
  if (changes.valid()) last_change_ = changes.key();
  return common::OkStatus();
}

common::Status GroupWriter::Declare(const DeclarationChange& change) {
  const std::string key = layout::DeclarationKey(change.kind, change.name);
  if (change.object) {
    RETURN_IF_ERROR(txn_.Put(tables_.declarations, key, layout::EncodeDeclaration(change)));
  } else {
    RETURN_IF_ERROR(txn_.Delete(tables_.declarations, key).status());
  }
  if (change.kind != "Dataset") return common::OkStatus();
  return DeclareDataset(change.name, change.object.has_value());
}

common::Status GroupWriter::DeclareDataset(std::string_view name, bool declared) {
  ASSIGN_OR_RETURN(Dataset * dataset, FindDataset(name));
  if (dataset != nullptr) {
    dataset->withdrawn_ms = declared ? 0 : std::max<std::int64_t>(now_ms_, 1);
    return common::OkStatus();
  }
  if (!declared) return common::OkStatus();
  // Its creation takes a revision: cursors of an earlier, purged dataset of this name lie below
  // the floor, those of its own history never do.
  Dataset created;
  created.state.id = next_dataset_++;
  created.state.head = created.state.floor = ++head_;
  datasets_.emplace(name, created);
  return common::OkStatus();
}

common::StatusOr<GroupWriter::Dataset*> GroupWriter::FindDataset(std::string_view name) {
  const auto found = datasets_.find(name);
  if (found != datasets_.end()) return &found->second;
  ASSIGN_OR_RETURN(const auto record, ReadDataset(txn_, tables_, name));
  if (!record) return nullptr;
  return &datasets_.emplace(name, *record).first->second;
}

common::StatusOr<PublisherRecord*> GroupWriter::FindPublisher(std::string_view id) {
  const auto found = publishers_.find(id);
  if (found != publishers_.end()) return &found->second;
  ASSIGN_OR_RETURN(const auto bytes, txn_.Get(tables_.publishers, id));
  PublisherRecord record;
  if (bytes) {
    ASSIGN_OR_RETURN(record, layout::DecodePublisher(*bytes));
  }
  return &publishers_.emplace(id, std::move(record)).first->second;
}

common::StatusOr<Outcome> GroupWriter::Apply(const Batch& batch) {
  if (!IsRemembered(batch)) return Decide(batch);
  ASSIGN_OR_RETURN(PublisherRecord * publisher, FindPublisher(batch.publisher_id));
  publisher->seen_ms = now_ms_;
  publisher->Forget(batch.settled);
  if (std::optional<Outcome> first = Recall(*publisher, batch)) return *std::move(first);
  ASSIGN_OR_RETURN(Outcome outcome, Decide(batch));
  publisher->last_sequence = batch.sequence;
  publisher->decided.push_back({batch.sequence, outcome});
  publisher->decided.back().outcome.changed = false;
  if (!outcome.old.empty()) publisher->BoundOldValues();
  if (publisher->decided.size() > common::kPublisherResultsKept) publisher->decided.pop_front();
  return outcome;
}

common::StatusOr<Outcome> GroupWriter::Decide(const Batch& batch) {
  if (!batch.refused.ok()) return Refusal(batch.refused);
  for (const Write& write : batch.writes) {
    ASSIGN_OR_RETURN(Dataset * dataset, FindDataset(write.dataset));
    if (dataset == nullptr) {
      return Refusal(
          Error(StatusCode::kNotFound, "dataset {} is not declared", write.dataset));
    }
  }
  for (const Check& check : batch.checks) {
    ASSIGN_OR_RETURN(const bool holds, Holds(check));
    if (holds) continue;
    return Refusal(Error(StatusCode::kAborted,
                         "{}/{} has changed since it was watched; nothing was applied",
                         check.dataset, common::PercentEncode(check.key)));
  }
  return ApplyWrites(batch);
}

common::StatusOr<std::optional<GroupWriter::Old>> GroupWriter::FindLive(const Dataset& dataset,
                                                                        std::string_view key) {
  layout::EntryKey(dataset.state.id, key, row_key_);
  ASSIGN_OR_RETURN(const auto bytes, txn_.Get(tables_.entries, row_key_));
  if (!bytes) return std::optional<Old>();
  ASSIGN_OR_RETURN(const layout::EntryRecord record, layout::DecodeEntry(*bytes));
  const common::EntryView entry = common::EntryOfResource(record.resource);
  if (HasExpired(entry, now_ms_)) return std::optional<Old>();
  return std::optional(Old{.version = record.version, .entry = entry});
}

common::StatusOr<bool> GroupWriter::Holds(const Check& check) {
  ASSIGN_OR_RETURN(Dataset * dataset, FindDataset(check.dataset));
  if (dataset == nullptr) return !check.version && !check.absent_since;
  ASSIGN_OR_RETURN(const std::optional<Old> old, FindLive(*dataset, check.key));
  if (old || check.version) return old && check.version == old->version;
  return StayedAbsent(*dataset, check);
}

// What came and went has left a tombstone, or lies here expired and not swept yet.
common::StatusOr<bool> GroupWriter::StayedAbsent(const Dataset& dataset, const Check& check) {
  if (!check.absent_since) return true;
  const auto [epoch, revision] = *check.absent_since;
  if (epoch != epoch_ || revision < dataset.state.floor) return false;
  layout::EntryKey(dataset.state.id, check.key, row_key_);
  ASSIGN_OR_RETURN(const auto expired, txn_.Get(tables_.entries, row_key_));
  if (expired) {
    ASSIGN_OR_RETURN(const layout::EntryRecord record, layout::DecodeEntry(*expired));
    return record.version.revision <= revision;
  }
  ASSIGN_OR_RETURN(const auto removed, txn_.Get(tables_.tombstones, row_key_));
  if (!removed) return true;
  ASSIGN_OR_RETURN(const Position position, layout::DecodePosition(*removed));
  return position.revision <= revision;
}

common::StatusOr<GroupWriter::Done> GroupWriter::ApplyWrite(Dataset& dataset, const Write& write,
                                                            Position position, Outcome& outcome) {
  const bool asks = write.condition != Condition::kAlways || write.return_old ||
                    write.expiry.keep || !write.value;
  std::int64_t expires_at_ms = write.expiry.at_ms;
  if (write.expiry.in_ms > 0) {
    expires_at_ms = std::min(now_ms_ + write.expiry.in_ms, kExpiryMsMax);
  }
  if (asks) {
    ASSIGN_OR_RETURN(const std::optional<Old> old, FindLive(dataset, write.key));
    if (write.return_old && old) outcome.old.emplace_back(position.ordinal, old->entry.value);
    const bool met = write.condition == Condition::kAlways ||
                     (write.condition == Condition::kIfPresent) == old.has_value();
    if (!met || (!write.value && !old)) return Done::kSkipped;
    if (write.expiry.keep && old) expires_at_ms = old->entry.expires_at_ms;
  }
  const bool never_lives = expires_at_ms != 0 && expires_at_ms <= now_ms_;
  if (!write.value || never_lives) {
    ASSIGN_OR_RETURN(const bool deleted, Delete(dataset, write.key, position));
    if (!write.value) outcome.deleted += 1;
    return deleted ? Done::kChanged : Done::kNothing;
  }
  RETURN_IF_ERROR(Put(dataset, write, position, expires_at_ms));
  return Done::kChanged;
}

common::StatusOr<Outcome> GroupWriter::ApplyWrites(const Batch& batch) {
  Outcome outcome;
  Position position{.revision = head_ + 1};
  version_.clear();
  common::AppendVersion({epoch_, position.revision}, version_);
  for (const Write& write : batch.writes) {
    ASSIGN_OR_RETURN(Dataset * dataset, FindDataset(write.dataset));
    ASSIGN_OR_RETURN(const Done done, ApplyWrite(*dataset, write, position, outcome));
    const bool changed = done == Done::kChanged;
    if (changed) dataset->state.head = position.revision;
    if (done == Done::kSkipped) MarkSkipped(position.ordinal, outcome);
    outcome.changed |= changed;
    outcome.revision = std::max(outcome.revision, dataset->state.head);
    ++position.ordinal;
  }
  if (outcome.changed) head_ = position.revision;
  return outcome;
}

void GroupWriter::EncodeEntry(const Write& write, Position position, std::int64_t expires_at_ms) {
  payload_.clear();
  name_.clear();
  record_.clear();
  common::AppendEntryPayload({.value = *write.value,
                              .published_at_ms = now_ms_,
                              .expires_at_ms = expires_at_ms,
                              .content_type = write.content_type},
                             payload_);
  common::AppendEntryName(write.dataset, write.key, name_);
  layout::AppendEntryHeader(
      {.version = {epoch_, position.revision}, .ordinal = position.ordinal}, record_);
  common::AppendResourceField(name_, version_, common::kEntryType, payload_, record_);
}

common::Status GroupWriter::Put(Dataset& dataset, const Write& write, Position position,
                                std::int64_t expires_at_ms) {
  EncodeEntry(write, position, expires_at_ms);
  layout::EntryKey(dataset.state.id, write.key, row_key_);
  ASSIGN_OR_RETURN(const auto old, txn_.PutIfAbsent(tables_.entries, row_key_, record_));
  if (old) {
    RETURN_IF_ERROR(DropOld(dataset, write.key, *old));
    layout::EntryKey(dataset.state.id, write.key, row_key_);
    RETURN_IF_ERROR(txn_.Put(tables_.entries, row_key_, record_));
  } else {
    RETURN_IF_ERROR(DropTombstone(dataset, write.key));
  }
  dataset.state.entries += 1;
  dataset.state.bytes += write.key.size() + write.value->size();
  dataset.state.digest += common::EntryHash(write.key, {epoch_, position.revision}, *write.value);
  if (expires_at_ms != 0) {
    layout::EntryKey(dataset.state.id, write.key, row_key_);
    layout::ExpiryKey(expires_at_ms, row_key_, expiry_key_);
    RETURN_IF_ERROR(txn_.Put(tables_.expiries, expiry_key_, {}));
  }
  return AddChange(dataset, position, write.key);
}

common::StatusOr<bool> GroupWriter::Delete(Dataset& dataset, std::string_view key,
                                           Position position) {
  layout::EntryKey(dataset.state.id, key, row_key_);
  ASSIGN_OR_RETURN(const auto old, txn_.Get(tables_.entries, row_key_));
  if (!old) return false;
  RETURN_IF_ERROR(DropOld(dataset, key, *old));
  layout::EntryKey(dataset.state.id, key, row_key_);
  RETURN_IF_ERROR(txn_.Delete(tables_.entries, row_key_).status());
  RETURN_IF_ERROR(txn_.Put(tables_.tombstones, row_key_, layout::EncodePosition(position)));
  layout::PositionKey(dataset.state.id, position, position_key_);
  RETURN_IF_ERROR(txn_.Put(
      tables_.removals, position_key_,
      layout::EncodeRemoval({.epoch = epoch_, .removed_ms = now_ms_, .key = key})));
  dataset.tombstones += 1;
  return true;
}

common::Status GroupWriter::DropOld(Dataset& dataset, std::string_view key,
                                    std::string_view record) {
  ASSIGN_OR_RETURN(const layout::EntryRecord entry, layout::DecodeEntry(record));
  const common::EntryView old = common::EntryOfResource(entry.resource);
  const std::string_view value = old.value;
  const std::int64_t expires_at_ms = old.expires_at_ms;
  dataset.state.entries -= 1;
  dataset.state.bytes -= key.size() + value.size();
  dataset.state.digest -= common::EntryHash(key, entry.version, value);
  // Views of the record end with the first write.
  layout::PositionKey(dataset.state.id, entry.position(), position_key_);
  if (expires_at_ms != 0) {
    layout::EntryKey(dataset.state.id, key, row_key_);
    layout::ExpiryKey(expires_at_ms, row_key_, expiry_key_);
    RETURN_IF_ERROR(txn_.Delete(tables_.expiries, expiry_key_).status());
  }
  return txn_.Delete(tables_.changes, position_key_).status();
}

common::Status GroupWriter::DropTombstone(Dataset& dataset, std::string_view key) {
  if (dataset.tombstones == 0) return common::OkStatus();
  layout::EntryKey(dataset.state.id, key, row_key_);
  ASSIGN_OR_RETURN(const auto bytes, txn_.Get(tables_.tombstones, row_key_));
  if (!bytes) return common::OkStatus();
  ASSIGN_OR_RETURN(const Position removed, layout::DecodePosition(*bytes));
  layout::PositionKey(dataset.state.id, removed, position_key_);
  RETURN_IF_ERROR(txn_.Delete(tables_.removals, position_key_).status());
  RETURN_IF_ERROR(txn_.Delete(tables_.tombstones, row_key_).status());
  dataset.tombstones -= 1;
  return common::OkStatus();
}

common::Status GroupWriter::AddChange(const Dataset& dataset, Position position,
                                      std::string_view key) {
  layout::PositionKey(dataset.state.id, position, position_key_);
  if (position_key_ < last_change_) return txn_.Put(tables_.changes, position_key_, key);
  last_change_ = position_key_;
  return txn_.Append(tables_.changes, position_key_, key);  // fills its pages, splits none
}

// --- expiry -----------------------------------------------------------------------------------

common::StatusOr<Expired> GroupWriter::Expire(std::size_t count_max) {
  Expired expired;
  Position position{.revision = head_ + 1};
  // Rows of datasets that are being purged go uncounted, but not without end.
  for (std::size_t left = count_max + kDeadExpiriesMax; left > 0; --left) {
    std::string row;  // a copy: deleting it ends the walk
    {
      ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.expiries));
      RETURN_IF_ERROR(cursor.First());
      const bool due = cursor.valid() && layout::TimeOfExpiryKey(cursor.key()) <= now_ms_;
      if (!due || expired.entries == count_max) break;
      row = cursor.key();
    }
    position.ordinal = static_cast<std::uint32_t>(expired.entries);
    RETURN_IF_ERROR(ExpireOne(row, position, expired));
  }
  if (expired.entries > 0) head_ = position.revision;
  return expired;
}

common::Status GroupWriter::ExpireOne(std::string_view row, Position position, Expired& expired) {
  const std::string_view entry_key = layout::EntryKeyOfExpiryKey(row);
  const std::string key(layout::KeyOfEntryKey(entry_key));
  std::string name;
  ASSIGN_OR_RETURN(Dataset * dataset,
                   FindDatasetById(lmdb::ReadBigEndian32(entry_key), name));
  if (dataset == nullptr) {  // purged meanwhile, or being purged
    return txn_.Delete(tables_.expiries, row).status();
  }
  ASSIGN_OR_RETURN(const bool deleted, Delete(*dataset, key, position));
  if (!deleted) return Error(StatusCode::kDataLoss, "the expiry index names an absent entry");
  dataset->state.head = position.revision;
  expired.entries += 1;
  if (std::ranges::find(expired.datasets, name) == expired.datasets.end()) {
    expired.datasets.push_back(name);
  }
  return common::OkStatus();
}

common::StatusOr<GroupWriter::Dataset*> GroupWriter::FindDatasetById(std::uint32_t id,
                                                                     std::string& name) {
  if (names_.empty()) {
    ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.datasets));
    RETURN_IF_ERROR(cursor.First());
    while (cursor.valid()) {
      ASSIGN_OR_RETURN(const Dataset record, layout::DecodeDataset(cursor.value()));
      names_.emplace(record.state.id, cursor.key());
      RETURN_IF_ERROR(cursor.Next());
    }
  }
  const auto found = names_.find(id);
  if (found == names_.end()) return nullptr;
  name = found->second;
  return FindDataset(name);
}

common::Status GroupWriter::Forget(std::string_view publisher_id) {
  if (publisher_id.empty() || publisher_id.size() > kPublisherKeyBytesMax) {
    return common::OkStatus();
  }
  const auto touched = publishers_.find(publisher_id);
  if (touched != publishers_.end()) publishers_.erase(touched);
  return txn_.Delete(tables_.publishers, publisher_id).status();
}

common::Status GroupWriter::Finish() {
  for (const auto& [name, record] : datasets_) {
    RETURN_IF_ERROR(txn_.Put(tables_.datasets, name, layout::EncodeDataset(record)));
  }
  for (const auto& [id, record] : publishers_) {
    RETURN_IF_ERROR(txn_.Put(tables_.publishers, id, layout::EncodePublisher(record)));
  }
  RETURN_IF_ERROR(txn_.Put(tables_.meta, layout::kMetaHead, layout::EncodeNumber64(head_)));
  return txn_.Put(tables_.meta, layout::kMetaNextDataset, layout::EncodeNumber32(next_dataset_));
}

}  // namespace cp
