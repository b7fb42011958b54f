#include "control-plane/store/lmdb_store.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "control-plane/store/group_writer.h"
#include "control-plane/store/layout.h"
#include "control-plane/store/lmdb_view.h"
#include "control-plane/store/validate.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
namespace lmdb = common::lmdb;

common::StatusOr<CatalogPtr> ReadCatalog(const lmdb::Txn& txn, const Tables& tables) {
  Catalog catalog;
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn, tables.declarations));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    ASSIGN_OR_RETURN(const DeclarationChange change,
                     layout::DecodeDeclaration(cursor.key(), cursor.value()));
    catalog.Apply(change);
    RETURN_IF_ERROR(cursor.Next());
  }
  return std::make_shared<const Catalog>(std::move(catalog));
}

bool OnlyRemoves(const Group& group) {
  return std::ranges::none_of(group.declarations,
                              [](const auto& change) { return change.object.has_value(); }) &&
         std::ranges::all_of(group.batches, [](const Batch& batch) { return OnlyRemoves(batch); });
}

}  // namespace

common::StatusOr<std::unique_ptr<LmdbStore>> LmdbStore::Open(const LmdbStoreOptions& options) {
  const std::size_t map_bytes = options.map_bytes + lmdb::MapReserve(options.map_bytes);
  ASSIGN_OR_RETURN(std::unique_ptr<DurableEnv> durable,
                   DurableEnv::Open({.env = {.dir = options.dir,
                                             .map_bytes = map_bytes,
                                             .databases_max = kTablesMax,
                                             .readers_max = options.views_max,
                                             .sync = options.sync},
                                     .log_bytes = options.log_bytes}));
  ASSIGN_OR_RETURN(const Tables tables, OpenTables(durable->env(), options.dir));
  RETURN_IF_ERROR(durable->Recover(AllTables(tables)));
  Epoch epoch = 0;
  CatalogPtr catalog;
  {
    ASSIGN_OR_RETURN(const lmdb::ReadTxn txn, durable->env().BeginRead());
    ASSIGN_OR_RETURN(epoch, ReadMeta64(txn, tables, layout::kMetaEpoch));
    ASSIGN_OR_RETURN(catalog, ReadCatalog(txn, tables));
  }
  std::unique_ptr<LmdbStore> store(
      new LmdbStore(std::move(durable), options.map_bytes, tables, epoch, std::move(catalog)));
  std::int64_t next_expiry_ms = kNever;
  {
    ASSIGN_OR_RETURN(const lmdb::ReadTxn txn, store->env().BeginRead());
    RETURN_IF_ERROR(store->NoteExpiry(txn, next_expiry_ms));
  }
  store->next_expiry_ms_ = next_expiry_ms;
  return store;
}

common::Status LmdbStore::CheckUsable() const {
  if (!broken_) return common::OkStatus();
  return Error(StatusCode::kDataLoss,
               "the store had an I/O error and takes no writes; check the disk, then restart");
}

common::Status LmdbStore::Note(common::Status status) {
  broken_ |= status.code() == StatusCode::kDataLoss;
  return status;
}

template <typename Result>
common::StatusOr<Result> LmdbStore::Write(
    std::string_view doing, const std::function<common::StatusOr<Result>()>& write) {
  RETURN_IF_ERROR(CheckUsable());
  common::StatusOr<Result> result = write();
  if (result.status().code() == StatusCode::kResourceExhausted) {
    const auto made = durable_->MakeRoom();
    if (!made.ok()) return Note(common::Annotate(made.status(), doing));
    if (*made) result = write();
  }
  if (!result.ok()) return Note(common::Annotate(result.status(), doing));
  return result;
}

common::StatusOr<std::vector<Outcome>> LmdbStore::Commit(const Group& group) {
  auto outcomes = Write<std::vector<Outcome>>("commit to the store",
                                              [&] { return WriteGroup(group); });
  if (outcomes.ok() && !group.declarations.empty()) UpdateCatalog(group.declarations);
  return outcomes;
}

common::StatusOr<std::vector<Outcome>> LmdbStore::WriteGroup(const Group& group) {
  ASSIGN_OR_RETURN(lmdb::WriteTxn txn, durable_->BeginWrite());
  ASSIGN_OR_RETURN(const std::size_t before, LiveBytes(txn));
  GroupWriter writer(tables_, epoch_, txn, group.now_ms);
  RETURN_IF_ERROR(writer.Start());
  for (const DeclarationChange& change : group.declarations) {
    RETURN_IF_ERROR(writer.Declare(change));
  }
  std::vector<Outcome> outcomes;
  std::int64_t next_expiry_ms = kNever;
  outcomes.reserve(group.batches.size());
  for (const Batch& batch : group.batches) {
    ASSIGN_OR_RETURN(Outcome outcome, writer.Apply(batch));
    outcomes.push_back(std::move(outcome));
  }
  for (const std::string& id : group.forget_publishers) RETURN_IF_ERROR(writer.Forget(id));
  RETURN_IF_ERROR(writer.Finish());
  RETURN_IF_ERROR(NoteExpiry(txn, next_expiry_ms));
  if (!OnlyRemoves(group)) RETURN_IF_ERROR(CheckRoom(txn, before));
  RETURN_IF_ERROR(durable_->Commit(std::move(txn)));
  next_expiry_ms_ = next_expiry_ms;
  return outcomes;
}

common::StatusOr<std::size_t> LmdbStore::LiveBytes(const lmdb::Txn& txn) const {
  std::size_t sum = 0;
  for (const lmdb::Dbi dbi : AllTables(tables_)) {
    ASSIGN_OR_RETURN(const std::size_t bytes, txn.Bytes(dbi));
    sum += bytes;
  }
  return sum;
}

common::Status LmdbStore::CheckRoom(const lmdb::Txn& txn, std::size_t before) const {
  ASSIGN_OR_RETURN(const std::size_t after, LiveBytes(txn));
  if (after <= bytes_max_ || after <= before) return common::OkStatus();
  return Error(StatusCode::kResourceExhausted,
               "the store is full: {} bytes would be needed, --max-map-size allows {}", after,
               bytes_max_);
}

common::StatusOr<Expired> LmdbStore::Expire(std::int64_t now_ms, std::size_t count_max) {
  return Write<Expired>("expire entries of the store",
                        [&] { return WriteExpired(now_ms, count_max); });
}

common::StatusOr<Expired> LmdbStore::WriteExpired(std::int64_t now_ms, std::size_t count_max) {
  std::int64_t next_expiry_ms = kNever;
  ASSIGN_OR_RETURN(lmdb::WriteTxn txn, durable_->BeginWrite());
  GroupWriter writer(tables_, epoch_, txn, now_ms);
  RETURN_IF_ERROR(writer.Start());
  ASSIGN_OR_RETURN(Expired expired, writer.Expire(count_max));
  RETURN_IF_ERROR(writer.Finish());
  RETURN_IF_ERROR(NoteExpiry(txn, next_expiry_ms));
  RETURN_IF_ERROR(durable_->Commit(std::move(txn)));
  next_expiry_ms_ = next_expiry_ms;
  return expired;
}

common::Status LmdbStore::NoteExpiry(const lmdb::Txn& txn, std::int64_t& next) const {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn, tables_.expiries));
  RETURN_IF_ERROR(cursor.First());
  if (cursor.valid()) next = layout::TimeOfExpiryKey(cursor.key());
  return common::OkStatus();
}

std::optional<std::int64_t> LmdbStore::next_expiry_ms() const {
  const std::int64_t next = next_expiry_ms_;
  return next == kNever ? std::nullopt : std::optional(next);
}

void LmdbStore::UpdateCatalog(const std::vector<DeclarationChange>& changes) {
  Catalog next = *catalog();
  for (const DeclarationChange& change : changes) next.Apply(change);
  auto shared = std::make_shared<const Catalog>(std::move(next));
  common::MutexLock lock(mutex_);
  catalog_.swap(shared);
}

common::StatusOr<std::unique_ptr<View>> LmdbStore::OpenView() const {
  return LmdbView::Open(env(), tables_);
}

CatalogPtr LmdbStore::catalog() const {
  common::MutexLock lock(mutex_);
  return catalog_;
}

common::StatusOr<std::uint64_t> LmdbStore::LastSequence(std::string_view publisher_id) const {
  if (publisher_id.empty() || publisher_id.size() > kPublisherKeyBytesMax) {
    return std::uint64_t{0};
  }
  ASSIGN_OR_RETURN(const lmdb::ReadTxn txn, env().BeginRead());
  ASSIGN_OR_RETURN(const auto bytes, txn.Get(tables_.publishers, publisher_id));
  if (!bytes) return std::uint64_t{0};
  ASSIGN_OR_RETURN(const layout::PublisherRecord record, layout::DecodePublisher(*bytes));
  return record.last_sequence;
}

common::StatusOr<bool> LmdbStore::Compact(std::int64_t before_ms, std::uint64_t count_max,
                                          std::size_t budget) {
  return Write<bool>("compact the store", [&]() -> common::StatusOr<bool> {
    CompactionProgress progress = progress_;  // kept only if the transaction is
    ASSIGN_OR_RETURN(lmdb::WriteTxn txn, durable_->BeginWrite());
    ASSIGN_OR_RETURN(const bool more,
                     Compactor(tables_, txn, before_ms, count_max, budget).Step(progress));
    RETURN_IF_ERROR(durable_->Commit(std::move(txn)));
    progress_ = std::move(progress);
    return more;
  });
}

}  // namespace cp
