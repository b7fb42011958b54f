#include "control-plane/store/tables.h"

#include <string>

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
namespace lmdb = common::lmdb;

common::Status NotOurs(std::string_view dir, std::string_view kind) {
  return Error(StatusCode::kFailedPrecondition,
               "data directory {} holds the data of {}, not of a control plane; choose another "
               "--data-dir",
               dir, kind);
}

// Refuses what another program or a newer version wrote, before anything is written.
common::Status CheckMeta(const lmdb::ReadTxn& txn, lmdb::Dbi meta, std::string_view dir) {
  ASSIGN_OR_RETURN(const auto kind, txn.Get(meta, layout::kMetaKind));
  if (!kind) return NotOurs(dir, "an unknown program");
  if (*kind != layout::kKind) return NotOurs(dir, fmt::format("kind '{}'", *kind));
  ASSIGN_OR_RETURN(const auto format_bytes, txn.Get(meta, layout::kMetaFormat));
  if (!format_bytes) return Error(StatusCode::kDataLoss, "{}: the format version is missing", dir);
  ASSIGN_OR_RETURN(const std::uint32_t format, layout::DecodeNumber32(*format_bytes));
  if (format == layout::kFormat || format == layout::kFormatWithoutLog) return common::OkStatus();
  return Error(StatusCode::kFailedPrecondition,
               "data directory {} has format {}, this version reads formats {} and {}; start the "
               "version that wrote it, or restore a backup into an empty directory",
               dir, format, layout::kFormatWithoutLog, layout::kFormat);
}

// A version that knows no log must not open what needs one.
common::Status Upgrade(lmdb::Env& env, const Tables& tables) {
  const std::string current = layout::EncodeNumber32(layout::kFormat);
  ASSIGN_OR_RETURN(lmdb::WriteTxn txn, env.BeginWrite());
  ASSIGN_OR_RETURN(const auto format, txn.Get(tables.meta, layout::kMetaFormat));
  if (format == current) return common::OkStatus();
  RETURN_IF_ERROR(txn.Put(tables.meta, layout::kMetaFormat, current));
  return txn.Commit();
}

common::Status CheckOwner(lmdb::Env& env, std::string_view dir) {
  ASSIGN_OR_RETURN(const auto meta, env.FindDatabase("meta"));
  if (!meta) return NotOurs(dir, "another program, or of a restore that was not finished");
  ASSIGN_OR_RETURN(const lmdb::ReadTxn txn, env.BeginRead());
  return CheckMeta(txn, *meta, dir);
}

// The first database and its marks come in one transaction: a crash leaves nothing or a store.
common::Status Create(lmdb::Env& env) {
  ASSIGN_OR_RETURN(lmdb::WriteTxn txn, env.BeginWrite());
  RETURN_IF_ERROR(WriteMeta(txn, {.epoch = common::NewEpoch()}));
  return txn.Commit();
}

common::StatusOr<std::string_view> ReadMeta(const lmdb::Txn& txn, const Tables& tables,
                                            std::string_view name) {
  ASSIGN_OR_RETURN(const auto bytes, txn.Get(tables.meta, name));
  if (!bytes) return Error(StatusCode::kDataLoss, "the store's meta record {} is missing", name);
  return *bytes;
}

}  // namespace

common::Status WriteMeta(lmdb::WriteTxn& txn, const MetaValues& values) {
  ASSIGN_OR_RETURN(const lmdb::Dbi meta, txn.OpenDatabase("meta"));
  RETURN_IF_ERROR(txn.Put(meta, layout::kMetaKind, layout::kKind));
  RETURN_IF_ERROR(txn.Put(meta, layout::kMetaFormat, layout::EncodeNumber32(layout::kFormat)));
  RETURN_IF_ERROR(txn.Put(meta, layout::kMetaEpoch, layout::EncodeNumber64(values.epoch)));
  RETURN_IF_ERROR(txn.Put(meta, layout::kMetaHead, layout::EncodeNumber64(values.head)));
  return txn.Put(meta, layout::kMetaNextDataset, layout::EncodeNumber32(values.next_dataset));
}

common::StatusOr<Tables> OpenDataTables(lmdb::Env& env) {
  Tables tables;
  ASSIGN_OR_RETURN(tables.declarations, env.OpenDatabase("declarations"));
  ASSIGN_OR_RETURN(tables.datasets, env.OpenDatabase("datasets"));
  ASSIGN_OR_RETURN(tables.entries, env.OpenDatabase("entries"));
  ASSIGN_OR_RETURN(tables.tombstones, env.OpenDatabase("tombstones"));
  ASSIGN_OR_RETURN(tables.changes, env.OpenDatabase("changes"));
  ASSIGN_OR_RETURN(tables.removals, env.OpenDatabase("removals"));
  ASSIGN_OR_RETURN(tables.publishers, env.OpenDatabase("publishers"));
  ASSIGN_OR_RETURN(tables.expiries, env.OpenDatabase("expiries"));
  ASSIGN_OR_RETURN(tables.purging, env.OpenDatabase("purging"));
  return tables;
}

common::StatusOr<Tables> OpenTables(lmdb::Env& env, std::string_view dir) {
  ASSIGN_OR_RETURN(const bool is_new, env.IsEmpty());
  if (is_new) {
    RETURN_IF_ERROR(Create(env));
  } else {
    RETURN_IF_ERROR(CheckOwner(env, dir));
  }
  ASSIGN_OR_RETURN(Tables tables, OpenDataTables(env));
  ASSIGN_OR_RETURN(tables.meta, env.OpenDatabase("meta"));
  RETURN_IF_ERROR(Upgrade(env, tables));
  return tables;
}

common::StatusOr<std::uint32_t> ReadMeta32(const lmdb::Txn& txn, const Tables& tables,
                                           std::string_view name) {
  ASSIGN_OR_RETURN(const std::string_view bytes, ReadMeta(txn, tables, name));
  return layout::DecodeNumber32(bytes);
}

common::StatusOr<std::uint64_t> ReadMeta64(const lmdb::Txn& txn, const Tables& tables,
                                           std::string_view name) {
  ASSIGN_OR_RETURN(const std::string_view bytes, ReadMeta(txn, tables, name));
  return layout::DecodeNumber64(bytes);
}

common::StatusOr<std::optional<layout::DatasetRecord>> ReadDataset(const lmdb::Txn& txn,
                                                                   const Tables& tables,
                                                                   std::string_view name) {
  ASSIGN_OR_RETURN(const auto bytes, txn.Get(tables.datasets, name));
  if (!bytes) return std::optional<layout::DatasetRecord>();
  ASSIGN_OR_RETURN(layout::DatasetRecord record, layout::DecodeDataset(*bytes));
  return std::optional(record);
}

}  // namespace cp
