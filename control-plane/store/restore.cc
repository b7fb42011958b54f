// RestoreBackup: from a backup's rows to a data directory.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "common/limits.h"
#include "control-plane/store/backup.h"
#include "control-plane/store/lmdb_store.h"
#include "control-plane/store/sums.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
namespace lmdb = common::lmdb;

constexpr std::size_t kCommitBytes = 16 * common::kMiB;

common::Status CheckEmpty(const std::string& dir) {
  std::error_code error;
  std::filesystem::directory_iterator files(dir, error);
  if (error == std::errc::no_such_file_or_directory) return common::OkStatus();
  if (error) return common::InvalidArgument("{}: {}", dir, error.message());
  for (const auto& file : files) {
    if (file.path().filename() == "lost+found") continue;  // of a fresh disk
    return Error(StatusCode::kFailedPrecondition,
                 "{} is not empty (it holds {}): a backup is restored into an empty directory; "
                 "nothing was changed",
                 dir, file.path().filename().string());
  }
  return common::OkStatus();
}

// Writes rows in key order, in transactions of bounded size. `meta` comes last of all, so that what
// was not finished is never taken for a store.
class RestoreWriter {
 public:
  explicit RestoreWriter(lmdb::Env env) : env_(std::move(env)) {}

  common::Status Open() {
    ASSIGN_OR_RETURN(const Tables tables, OpenDataTables(env_));
    dbis_ = BackupTables(tables);
    return common::OkStatus();
  }

  common::Status Put(std::size_t table, std::string_view key, std::string_view value) {
    if (!txn_) {
      ASSIGN_OR_RETURN(lmdb::WriteTxn txn, env_.BeginWrite());
      txn_.emplace(std::move(txn));
    }
    RETURN_IF_ERROR(txn_->Append(dbis_[table], key, value));
    bytes_ += key.size() + value.size();
    return bytes_ < kCommitBytes ? common::OkStatus() : Flush();
  }

  common::Status Finish(const MetaValues& meta) {
    RETURN_IF_ERROR(Flush());
    RETURN_IF_ERROR(env_.Sync());
    ASSIGN_OR_RETURN(lmdb::WriteTxn txn, env_.BeginWrite());
    RETURN_IF_ERROR(WriteMeta(txn, meta));
    RETURN_IF_ERROR(txn.Commit());
    return env_.Sync();
  }

 private:
  common::Status Flush() {
    if (!txn_) return common::OkStatus();
    RETURN_IF_ERROR(txn_->Commit());
    txn_.reset();
    bytes_ = 0;
    return common::OkStatus();
  }

  lmdb::Env env_;
  std::array<lmdb::Dbi, kBackupTables> dbis_{};
  std::optional<lmdb::WriteTxn> txn_;
  std::size_t bytes_ = 0;
};

// The digest of every dataset, as summed up from what was written.
common::Status CheckRestored(const std::string& dir, std::size_t map_bytes) {
  ASSIGN_OR_RETURN(const auto store, LmdbStore::Open({.dir = dir, .map_bytes = map_bytes}));
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store->OpenView());
  for (const auto& [name, declared] : store->catalog()->datasets) {
    ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(name));
    if (!state) return Error(StatusCode::kDataLoss, "dataset {} is declared but not there", name);
    RETURN_IF_ERROR(
        common::Annotate(CheckSums(*view, name, *state),
                         "the store that was backed up was damaged: do not use " + dir));
  }
  return common::OkStatus();
}

}  // namespace

common::StatusOr<RestoreOutcome> RestoreBackup(
    const std::string& dir, std::size_t map_bytes,
    const std::function<common::StatusOr<std::string>()>& read,
    const std::function<void(std::uint64_t rows, const BackupHeader&)>& progress) {
  RETURN_IF_ERROR(CheckEmpty(dir));
  RestoreOutcome outcome{.header = {}, .epoch = common::NewEpoch()};
  std::optional<RestoreWriter> writer;
  BackupParser parser(
      {.on_header = [&](const BackupHeader& header) -> common::Status {
         outcome.header = header;
         ASSIGN_OR_RETURN(
             lmdb::Env env,
             lmdb::Env::Open(
                 {.dir = dir, .map_bytes = map_bytes, .databases_max = kTablesMax, .sync = false}));
         writer.emplace(std::move(env));
         return writer->Open();
       },
       .on_row =
           [&](std::size_t table, std::string_view key, std::string_view value) {
             return common::Annotate(writer->Put(table, key, value), "write to " + dir);
           }});
  while (true) {
    ASSIGN_OR_RETURN(const std::string piece, read());
    if (piece.empty()) break;
    RETURN_IF_ERROR(parser.Feed(piece));
    progress(parser.rows(), outcome.header);
  }
  RETURN_IF_ERROR(parser.Finish());
  RETURN_IF_ERROR(common::Annotate(writer->Finish({.epoch = outcome.epoch,
                                                   .head = outcome.header.head,
                                                   .next_dataset = outcome.header.next_dataset}),
                                   "write to " + dir));
  writer.reset();  // lets the directory go
  RETURN_IF_ERROR(CheckRestored(dir, map_bytes));
  return outcome;
}

}  // namespace cp
