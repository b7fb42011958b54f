#include "control-plane/store/group_writer.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
using layout::PublisherRecord;
namespace lmdb = common::lmdb;

// A publisher without a usable id has no memory; validation refuses such batches (validate.h).
bool IsRemembered(const Batch& batch) {
  return !batch.publisher_id.empty() && batch.sequence > 0 &&
         batch.publisher_id.size() <= common::kPublisherIdBytesMax;
}

Outcome Refusal(common::Status status) { return {.status = std::move(status)}; }

// The outcome of a batch that was decided before; absent: it is new.
std::optional<Outcome> Recall(const PublisherRecord& publisher, const Batch& batch) {
  if (batch.sequence > publisher.last_sequence) return std::nullopt;
  const auto found = std::ranges::lower_bound(publisher.decided, batch.sequence, {},
                                              &PublisherRecord::Decided::sequence);
  if (found != publisher.decided.end() && found->sequence == batch.sequence) return found->outcome;
  return Refusal(Error(StatusCode::kOutOfRange,
                       "batch {} of publisher {} is too old: the last {} outcomes up to {} are "
                       "kept, whether it was applied is not known any more",
                       batch.sequence, batch.publisher_id, common::kPublisherResultsKept,
                       publisher.last_sequence));
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
  if (std::optional<Outcome> first = Recall(*publisher, batch)) return *std::move(first);
  ASSIGN_OR_RETURN(Outcome outcome, Decide(batch));
  publisher->last_sequence = batch.sequence;
  publisher->decided.push_back({batch.sequence, outcome});
  publisher->decided.back().outcome.changed = false;
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
  return ApplyWrites(batch);
}

common::StatusOr<Outcome> GroupWriter::ApplyWrites(const Batch& batch) {
  Outcome outcome;
  Position position{.revision = head_ + 1};
  version_.clear();
  common::AppendVersion({epoch_, position.revision}, version_);
  for (const Write& write : batch.writes) {
    ASSIGN_OR_RETURN(Dataset * dataset, FindDataset(write.dataset));
    bool changed = true;
    if (write.value) {
      RETURN_IF_ERROR(Put(*dataset, write, position));
    } else {
      ASSIGN_OR_RETURN(changed, Delete(*dataset, write, position));
      outcome.deleted += changed ? 1 : 0;
    }
    if (changed) dataset->state.head = position.revision;
    outcome.changed |= changed;
    outcome.revision = std::max(outcome.revision, dataset->state.head);
    ++position.ordinal;
  }
  if (outcome.changed) head_ = position.revision;
  return outcome;
}

void GroupWriter::EncodeEntry(const Write& write, Position position) {
  payload_.clear();
  name_.clear();
  record_.clear();
  common::AppendEntryPayload({.value = *write.value,
                              .published_at_ms = now_ms_,
                              .content_type = write.content_type},
                             payload_);
  common::AppendEntryName(write.dataset, write.key, name_);
  layout::AppendEntryHeader(
      {.version = {epoch_, position.revision}, .ordinal = position.ordinal}, record_);
  common::AppendResourceField(name_, version_, common::kEntryType, payload_, record_);
}

common::Status GroupWriter::Put(Dataset& dataset, const Write& write, Position position) {
  EncodeEntry(write, position);
  layout::EntryKey(dataset.state.id, write.key, row_key_);
  ASSIGN_OR_RETURN(const auto old, txn_.PutIfAbsent(tables_.entries, row_key_, record_));
  if (old) {
    RETURN_IF_ERROR(DropOld(dataset, write.key, *old));
    RETURN_IF_ERROR(txn_.Put(tables_.entries, row_key_, record_));
  } else {
    RETURN_IF_ERROR(DropTombstone(dataset, write.key));
  }
  dataset.state.entries += 1;
  dataset.state.bytes += write.key.size() + write.value->size();
  dataset.state.digest += common::EntryHash(write.key, {epoch_, position.revision}, *write.value);
  return AddChange(dataset, position, write.key);
}

common::StatusOr<bool> GroupWriter::Delete(Dataset& dataset, const Write& write,
                                           Position position) {
  layout::EntryKey(dataset.state.id, write.key, row_key_);
  ASSIGN_OR_RETURN(const auto old, txn_.Get(tables_.entries, row_key_));
  if (!old) return false;
  RETURN_IF_ERROR(DropOld(dataset, write.key, *old));
  RETURN_IF_ERROR(txn_.Delete(tables_.entries, row_key_).status());
  RETURN_IF_ERROR(txn_.Put(tables_.tombstones, row_key_, layout::EncodePosition(position)));
  layout::PositionKey(dataset.state.id, position, position_key_);
  RETURN_IF_ERROR(txn_.Put(
      tables_.removals, position_key_,
      layout::EncodeRemoval({.epoch = epoch_, .removed_ms = now_ms_, .key = write.key})));
  dataset.tombstones += 1;
  return true;
}

common::Status GroupWriter::DropOld(Dataset& dataset, std::string_view key,
                                    std::string_view record) {
  ASSIGN_OR_RETURN(const layout::EntryRecord entry, layout::DecodeEntry(record));
  const std::string_view value = common::EntryOfResource(entry.resource).value;
  dataset.state.entries -= 1;
  dataset.state.bytes -= key.size() + value.size();
  dataset.state.digest -= common::EntryHash(key, entry.version, value);
  layout::PositionKey(dataset.state.id, entry.position(), position_key_);
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

common::Status GroupWriter::Forget(std::string_view publisher_id) {
  if (publisher_id.empty() || publisher_id.size() > common::kPublisherIdBytesMax) {
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
