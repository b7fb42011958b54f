// Backup: a store's whole content as one stream of checked blocks, consistent at a revision, and
// back again.
//
// Thread: each object by one at a time.  Lifetime: the store outlives its BackupReader.
//   file    magic, block 0 (header), blocks of rows, last block (end)
//   magic   "tributary-backup 1\n"
//   block   u32 length, u64 XXH3-64(payload, seed = number of the block), payload
//   payload 'H' JSON {format, store_format, epoch, head, next_dataset, created_ms, rows,
//           bytes}
//           'R' rows: u8 table, u32 key length, u32 value length, key, value; ordered by both
//           'E' JSON {rows}
// Numbers are big-endian. A file without its end block is not a backup.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/lmdb.h"
#include "common/status.h"
#include "common/version.h"
#include "control-plane/store/tables.h"

namespace cp {

struct BackupHeader {
  common::Epoch epoch = 0;  // of the store that was backed up
  common::Revision head = 0;
  std::uint32_t next_dataset = 1;
  std::int64_t created_ms = 0;  // Unix time
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // of the file, roughly: for progress
};

// The tables that a backup holds, in its order. What `meta` says is in the header.
inline constexpr std::size_t kBackupTables = 9;
std::array<common::lmdb::Dbi, kBackupTables> BackupTables(const Tables& tables);

// Reads a snapshot. Keep it no longer than needed: pages that were in use at its beginning are not
// reused as long as it lives.
class BackupReader {
 public:
  static common::StatusOr<std::unique_ptr<BackupReader>> Open(const common::lmdb::Env& env,
                                                              const Tables& tables,
                                                              std::int64_t now_ms);

  // The next piece of the file, about 1 MiB; empty: that was all.
  common::StatusOr<std::string> Next();
  const BackupHeader& header() const { return header_; }

 private:
  enum class Stage { kHeader, kRows, kEnd, kDone };

  BackupReader(common::lmdb::ReadTxn txn, const Tables& tables)
      : txn_(std::move(txn)), tables_(BackupTables(tables)) {}
  common::Status AppendRows(std::string& payload);
  std::string Block(std::string_view payload);

  const common::lmdb::ReadTxn txn_;
  const std::array<common::lmdb::Dbi, kBackupTables> tables_;
  BackupHeader header_;
  Stage stage_ = Stage::kHeader;
  std::size_t table_ = 0;  // of the next row
  std::string after_;      // the last key taken from it; empty: none
  std::uint64_t blocks_ = 0;
};

// Takes a backup apart as its bytes come, and checks everything that can be checked on the way.
class BackupParser {
 public:
  struct Handlers {
    std::function<common::Status(const BackupHeader&)> on_header = {};
    std::function<common::Status(std::size_t table, std::string_view key, std::string_view value)>
        on_row = {};
  };
  explicit BackupParser(Handlers handlers) : handlers_(std::move(handlers)) {}

  // INVALID_ARGUMENT: not a backup, or of a newer version. DATA_LOSS: damaged, and where.
  common::Status Feed(std::string_view bytes);
  // The file ends here. DATA_LOSS: too early.
  common::Status Finish() const;

  std::uint64_t rows() const { return rows_; }

 private:
  common::Status TakeBlock(std::string_view block);
  common::Status TakeHeader(std::string_view json);
  common::Status TakeRows(std::string_view rows);
  common::Status TakeEnd(std::string_view json);
  common::Status Damaged(std::string_view what) const;

  const Handlers handlers_;
  std::string kept_;          // part of a block
  std::uint64_t offset_ = 0;  // in the file, of kept_
  std::uint64_t blocks_ = 0;
  std::uint64_t rows_ = 0;
  std::size_t table_ = 0;
  BackupHeader header_;
  bool has_magic_ = false;
  bool ended_ = false;
};

struct RestoreOutcome {
  BackupHeader header;
  common::Epoch epoch = 0;  // the new one
};

// Writes a backup into `dir`, which must be absent or empty, gives it a new epoch, and checks the
// digest of every dataset. `read` gives the file piece by piece, empty at its end; `progress` is
// told the rows so far.
//   FAILED_PRECONDITION  the directory is not empty
//   INVALID_ARGUMENT, DATA_LOSS  as BackupParser says; the directory holds nothing usable then
common::StatusOr<RestoreOutcome> RestoreBackup(
    const std::string& dir, std::size_t map_bytes,
    const std::function<common::StatusOr<std::string>()>& read,
    const std::function<void(std::uint64_t rows, const BackupHeader&)>& progress);

}  // namespace cp
