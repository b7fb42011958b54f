#include "control-plane/store/lmdb_view.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/limits.h"
#include "control-plane/store/layout.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
namespace lmdb = common::lmdb;

// Walks the rows of one dataset in `changes` or `removals`, behind a position.
class PositionWalk {
 public:
  static common::StatusOr<PositionWalk> Open(const lmdb::Txn& txn, lmdb::Dbi dbi,
                                             std::uint32_t dataset, Position after) {
    ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn, dbi));
    PositionWalk walk(std::move(cursor), dataset);
    std::string start;
    layout::PositionKey(dataset, after, start);
    RETURN_IF_ERROR(walk.cursor_.Seek(start));
    if (walk.cursor_.valid() && walk.cursor_.key() == start) {
      RETURN_IF_ERROR(walk.cursor_.Next());
    }
    walk.Look();
    return walk;
  }

  bool valid() const { return valid_; }
  Position position() const { return position_; }
  std::string_view value() const { return cursor_.value(); }
  common::Status Next() {
    RETURN_IF_ERROR(cursor_.Next());
    Look();
    return common::OkStatus();
  }

 private:
  PositionWalk(lmdb::Cursor cursor, std::uint32_t dataset) : cursor_(std::move(cursor)) {
    layout::IdKey(dataset, id_);
  }
  void Look() {
    valid_ = cursor_.valid() && cursor_.key().starts_with(id_);
    if (valid_) position_ = layout::PositionOfKey(cursor_.key());
  }

  lmdb::Cursor cursor_;
  std::string id_;
  Position position_;
  bool valid_ = false;
};

common::StatusOr<Stored> ToStored(std::string_view key, std::string_view record) {
  ASSIGN_OR_RETURN(const layout::EntryRecord entry, layout::DecodeEntry(record));
  return Stored{.key = key, .version = entry.version, .resource = entry.resource};
}

common::StatusOr<Stored> ToRemoved(const PositionWalk& walk) {
  ASSIGN_OR_RETURN(const layout::RemovalRecord removal, layout::DecodeRemoval(walk.value()));
  return Stored{.key = removal.key,
                .version = {removal.epoch, walk.position().revision},
                .position = walk.position(),
                .removed_ms = removal.removed_ms};
}

// Finds the entries that change rows name. Keys that come in order are found without a descent.
class EntryFinder {
 public:
  EntryFinder(lmdb::Cursor cursor, std::uint32_t dataset)
      : cursor_(std::move(cursor)), dataset_(dataset) {}

  common::StatusOr<Stored> Find(const PositionWalk& change) {
    layout::EntryKey(dataset_, change.value(), row_key_);
    RETURN_IF_ERROR(cursor_.Seek(row_key_));
    if (!cursor_.valid() || cursor_.key() != row_key_) {
      return Error(StatusCode::kDataLoss, "the change index names an entry that is not there");
    }
    ASSIGN_OR_RETURN(Stored stored, ToStored(change.value(), cursor_.value()));
    stored.position = change.position();
    return stored;
  }

 private:
  lmdb::Cursor cursor_;
  const std::uint32_t dataset_;
  std::string row_key_;
};

}  // namespace

common::StatusOr<std::unique_ptr<View>> LmdbView::Open(const lmdb::Env& env,
                                                       const Tables& tables) {
  ASSIGN_OR_RETURN(lmdb::ReadTxn txn, env.BeginRead());
  ASSIGN_OR_RETURN(const Revision head, ReadMeta64(txn, tables, layout::kMetaHead));
  return std::unique_ptr<View>(new LmdbView(std::move(txn), tables, head));
}

common::StatusOr<std::optional<DatasetState>> LmdbView::Dataset(std::string_view name) const {
  if (name.empty() || name.size() > common::kDatasetNameBytesMax) {
    return std::optional<DatasetState>();
  }
  ASSIGN_OR_RETURN(const auto record, ReadDataset(txn_, tables_, name));
  if (!record) return std::optional<DatasetState>();
  DatasetState state = record->state;
  state.tombstones = record->tombstones;
  return std::optional(state);
}

common::StatusOr<std::optional<Stored>> LmdbView::Get(std::uint32_t dataset,
                                                      std::string_view key) const {
  if (key.size() > common::kKeyBytesMax) return std::optional<Stored>();
  std::string row_key;
  layout::EntryKey(dataset, key, row_key);
  ASSIGN_OR_RETURN(const auto record, txn_.Get(tables_.entries, row_key));
  if (!record) return std::optional<Stored>();
  ASSIGN_OR_RETURN(Stored stored, ToStored(key, *record));
  return std::optional(stored);
}

common::Status LmdbView::ScanEntries(std::uint32_t dataset, std::string_view prefix,
                                     std::string_view after, const Visit& visit) const {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_.entries));
  std::string within, start;
  layout::EntryKey(dataset, prefix, within);
  layout::EntryKey(dataset, std::max(prefix, after), start);
  RETURN_IF_ERROR(cursor.Seek(start));
  if (!after.empty() && after >= prefix && cursor.valid() && cursor.key() == start) {
    RETURN_IF_ERROR(cursor.Next());
  }
  while (cursor.valid() && cursor.key().starts_with(within)) {
    ASSIGN_OR_RETURN(const Stored stored,
                     ToStored(layout::KeyOfEntryKey(cursor.key()), cursor.value()));
    if (!visit(stored)) break;
    RETURN_IF_ERROR(cursor.Next());
  }
  return common::OkStatus();
}

common::Status LmdbView::ScanChanges(std::uint32_t dataset, std::string_view prefix,
                                     Position after, const Visit& visit) const {
  ASSIGN_OR_RETURN(PositionWalk puts, PositionWalk::Open(txn_, tables_.changes, dataset, after));
  ASSIGN_OR_RETURN(PositionWalk removals,
                   PositionWalk::Open(txn_, tables_.removals, dataset, after));
  ASSIGN_OR_RETURN(lmdb::Cursor entries, lmdb::Cursor::Open(txn_, tables_.entries));
  EntryFinder finder(std::move(entries), dataset);
  while (puts.valid() || removals.valid()) {
    const bool is_put =
        puts.valid() && (!removals.valid() || puts.position() < removals.position());
    PositionWalk& next = is_put ? puts : removals;
    if (is_put && !next.value().starts_with(prefix)) {
      RETURN_IF_ERROR(next.Next());
      continue;
    }
    ASSIGN_OR_RETURN(const Stored stored, is_put ? finder.Find(next) : ToRemoved(next));
    if (stored.key.starts_with(prefix) && !visit(stored)) break;
    RETURN_IF_ERROR(next.Next());
  }
  return common::OkStatus();
}

}  // namespace cp
