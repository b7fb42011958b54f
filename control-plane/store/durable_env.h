// DurableEnv: an LMDB environment whose commits are durable by a redo log in front of it.
//
// Thread: one owner (the committer); env() may be read from any. A thread "flush" comes with each
// checkpoint and does nothing but wait for the disk.  Lifetime: outlives its transactions.
//
// A commit appends its changes to the log, flushes that (one write in place, however many pages
// LMDB changes), and only then commits to LMDB, without a flush. So data.mdb on the disk is whole
// only as of the last checkpoint, and recovery takes the log from there on:
//   - A read transaction pins the checkpoint's snapshot, so LMDB does not reuse its pages: whatever
//     later commits have left on the disk, those pages are as they were.
//   - LMDB finds a snapshot by the file's first two pages, which commits overwrite in turn. Their
//     state at the checkpoint is the image in the log's header; recovery writes it back.
//   - Then the changes of the log are made again. They are rows, not requests: no decision is made
//     twice.
// A checkpoint begins a new log and flushes data.mdb beside the commits that go on; then the older
// log ends and the older pin is let go. docs/decisions/0027 says why, and what it costs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/lmdb.h"
#include "common/thread.h"
#include "control-plane/store/redo_log.h"

namespace cp {

struct DurableEnvOptions {
  common::lmdb::EnvOptions env = {};  // `prepare` is taken; sync = false: no log, nothing durable
  std::size_t log_bytes = 0;          // a checkpoint begins when the log has so many
};

class DurableEnv {
 public:
  // As lmdb::Env::Open says. DATA_LOSS: a log that is needed cannot be read.
  static common::StatusOr<std::unique_ptr<DurableEnv>> Open(DurableEnvOptions options);
  // Brings data.mdb up to date, so that it is whole without a log.
  ~DurableEnv();
  DurableEnv(const DurableEnv&) = delete;
  DurableEnv& operator=(const DurableEnv&) = delete;

  // Once, before the first write: makes the log's changes again. `tables`: all that may be written,
  // always in the same order.
  common::Status Recover(std::span<const common::lmdb::Dbi> tables);

  common::StatusOr<common::lmdb::WriteTxn> BeginWrite();
  // Ends the transaction of BeginWrite; durable on return, and not visible before.
  // RESOURCE_EXHAUSTED: disk or map are full, nothing has changed. DATA_LOSS: an I/O error; nothing
  // may be written until the directory is opened again.
  common::Status Commit(common::lmdb::WriteTxn txn);
  // After RESOURCE_EXHAUSTED: lets go of what a checkpoint frees. True: it was worth trying again.
  common::StatusOr<bool> MakeRoom();

  common::lmdb::Env& env() { return *env_; }
  const common::lmdb::Env& env() const { return *env_; }
  // Logs are numbered; those from `oldest_log` on are needed to recover. For tests.
  std::uint64_t current_log() const { return number_; }
  std::uint64_t oldest_log() const { return oldest_; }

 private:
  class Recorder;

  explicit DurableEnv(const DurableEnvOptions& options);

  common::Status OpenLogs();
  // Puts back the checkpoint that the logs start from.
  common::Status RestoreImage();
  common::Status Redo(std::string_view record);
  common::Status FlushRedone();
  common::StatusOr<std::string> ReadImage() const;
  std::string DataPath() const;
  RedoLog& Log(std::uint64_t number) { return logs_[number % logs_.size()]; }
  RedoLog& log() { return Log(number_); }
  const RedoLog& log() const { return logs_[number_ % logs_.size()]; }

  // Makes the next log the current one. `oldest`: its Header::oldest.
  common::Status BeginLog(std::uint64_t oldest);
  common::Status CommitWithoutLog(common::lmdb::WriteTxn txn);
  // Flushes data.mdb and ends the log: the directory needs none, until StartOver.
  common::Status EndLogs();
  // A new log on top of what data.mdb holds; all others end. REQUIRES: data.mdb is flushed.
  common::Status StartOver();
  common::Status StartCheckpoint();
  common::Status FinishCheckpoint();
  // Starts or finishes a checkpoint if it is time.
  common::Status Advance();
  double Due() const;  // 1: a checkpoint is

  const std::string dir_;
  const std::size_t log_bytes_;
  std::vector<RedoLog> logs_;   // log N lies in file N % 3; empty: nothing is durable
  std::uint64_t number_ = 0;    // of the current log
  std::uint64_t oldest_ = 0;    // the first that is needed
  std::uint64_t sequence_ = 0;  // of the next record
  std::optional<common::lmdb::Env> env_;
  std::vector<common::lmdb::Dbi> tables_;
  std::unique_ptr<Recorder> recorder_;
  std::optional<common::lmdb::ReadTxn> pin_;       // the snapshot that log oldest_ builds on
  std::optional<common::lmdb::ReadTxn> next_pin_;  // and log number_, while a checkpoint is made
  std::size_t used_at_pin_ = 0;
  std::optional<common::lmdb::WriteTxn> redone_;  // changes made again, not committed
  std::size_t redone_bytes_ = 0;
  common::Status broken_;  // why nothing may be written

  // Of the checkpoint that is being made.
  bool flushing_ = false;
  std::atomic<bool> flushed_ = false;
  common::Status flush_status_;  // the flush thread's until flushed_
  common::Thread flush_;
};

}  // namespace cp
