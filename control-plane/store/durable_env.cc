#include "control-plane/store/durable_env.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/limits.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
namespace lmdb = common::lmdb;

constexpr std::size_t kLogFiles = 3;
constexpr std::size_t kMetaPages = 2;
constexpr std::size_t kGrowthMax = 64 * common::kMiB;  // pages held by the pin; then a checkpoint
constexpr std::size_t kRedoneBytesMax = 16 * common::kMiB;
constexpr std::size_t kChangeHeaderBytes = 10;
constexpr std::size_t kChangesKept = 1 * common::kMiB;  // of memory, from one commit to the next
enum : char { kPut = 'p', kDelete = 'd' };

common::Status Fail(const std::string& path, std::string_view doing) {
  return Error(StatusCode::kDataLoss, "{} {}: {}", doing, path, common::ErrnoText(errno));
}

// Opens, works, closes; `path` may be a directory.
template <typename Work>
common::Status WithFile(const std::string& path, int flags, const Work& work) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return Fail(path, "open");
  const bool ok = work(fd);
  common::Status status = ok ? common::OkStatus() : Fail(path, "read or write");
  ::close(fd);
  return status;
}

}  // namespace

// Changes of one transaction: kind, table's index, lengths of key and value, key, value.
class DurableEnv::Recorder final : public lmdb::WriteListener {
 public:
  explicit Recorder(std::span<const lmdb::Dbi> tables) {
    for (std::size_t i = 0; i < tables.size(); ++i) {
      if (indices_.size() <= tables[i]) indices_.resize(tables[i] + 1);
      indices_[tables[i]] = static_cast<char>(i);
    }
  }
  void Clear() {
    if (changes_.capacity() > kChangesKept) changes_ = std::string();
    changes_.clear();
  }
  const std::string& changes() const { return changes_; }

  void OnPut(lmdb::Dbi dbi, std::string_view key, std::string_view value) override {
    Add(kPut, dbi, key, value);
  }
  void OnDelete(lmdb::Dbi dbi, std::string_view key) override { Add(kDelete, dbi, key, {}); }

 private:
  void Add(char kind, lmdb::Dbi dbi, std::string_view key, std::string_view value) {
    changes_.push_back(kind);
    changes_.push_back(indices_[dbi]);
    lmdb::AppendBigEndian32(static_cast<std::uint32_t>(key.size()), changes_);
    lmdb::AppendBigEndian32(static_cast<std::uint32_t>(value.size()), changes_);
    changes_.append(key).append(value);
  }

  std::string changes_;
  std::string indices_;  // of tables, by handle
};

DurableEnv::DurableEnv(const DurableEnvOptions& options)
    : dir_(options.env.dir), log_bytes_(options.log_bytes) {}

DurableEnv::~DurableEnv() {
  if (logs_.empty() || !env_ || !broken_.ok() || recorder_ == nullptr) return;
  if (!EndLogs().ok()) return;  // they are there for the next start
  for (RedoLog& log : logs_) static_cast<void>(log.Shrink());
}

std::string DurableEnv::DataPath() const { return dir_ + "/data.mdb"; }

common::StatusOr<std::unique_ptr<DurableEnv>> DurableEnv::Open(DurableEnvOptions options) {
  std::unique_ptr<DurableEnv> durable(new DurableEnv(options));
  const bool wants_log = options.env.sync;
  options.env.readers_max += 2;  // the pins
  options.env.prepare = [&]() -> common::Status {
    if (!wants_log) return common::OkStatus();
    RETURN_IF_ERROR(durable->OpenLogs());
    if (durable->oldest_ > 0) RETURN_IF_ERROR(durable->RestoreImage());
    return common::OkStatus();
  };
  ASSIGN_OR_RETURN(lmdb::Env env, lmdb::Env::Open(options.env));
  durable->env_.emplace(std::move(env));
  if (durable->oldest_ > 0) {
    RETURN_IF_ERROR(durable->env_->SetSync(false));
    ASSIGN_OR_RETURN(lmdb::ReadTxn pin, durable->env_->BeginRead());
    durable->pin_.emplace(std::move(pin));
  }
  return durable;
}

common::Status DurableEnv::OpenLogs() {
  for (std::size_t i = 0; i < kLogFiles; ++i) {
    ASSIGN_OR_RETURN(RedoLog log, RedoLog::Open(fmt::format("{}/redo.{}", dir_, i)));
    logs_.push_back(std::move(log));
  }
  RETURN_IF_ERROR(WithFile(dir_, O_RDONLY, [](int fd) { return ::fsync(fd) == 0; }));
  const RedoLog* newest = nullptr;
  for (const RedoLog& log : logs_) {
    if (log.header() && log.header()->number >= number_) newest = &log;
    if (log.header()) number_ = std::max(number_, log.header()->number);
  }
  if (newest == nullptr || newest->ended()) return common::OkStatus();
  oldest_ = newest->header()->oldest;
  while (oldest_ < number_) {
    const RedoLog& log = Log(oldest_);
    if (!log.header() || log.header()->number != oldest_) {
      return Error(StatusCode::kDataLoss,
                   "{}/redo.{} cannot be read, but is needed to recover; restore a backup", dir_,
                   oldest_ % kLogFiles);
    }
    if (!log.ended()) break;
    ++oldest_;
  }
  return common::OkStatus();
}

common::Status DurableEnv::RestoreImage() {
  const std::string& image = Log(oldest_).header()->image;
  return WithFile(DataPath(), O_RDWR, [&](int fd) {
    return ::pwrite(fd, image.data(), image.size(), 0) == static_cast<ssize_t>(image.size()) &&
           ::fdatasync(fd) == 0;
  });
}

common::StatusOr<std::string> DurableEnv::ReadImage() const {
  std::string image(kMetaPages * env_->page_bytes(), '\0');
  RETURN_IF_ERROR(WithFile(DataPath(), O_RDONLY, [&](int fd) {
    return ::pread(fd, image.data(), image.size(), 0) == static_cast<ssize_t>(image.size());
  }));
  return image;
}

common::Status DurableEnv::Recover(std::span<const lmdb::Dbi> tables) {
  tables_.assign(tables.begin(), tables.end());
  recorder_ = std::make_unique<Recorder>(tables);
  if (logs_.empty()) return common::OkStatus();
  for (std::uint64_t number = oldest_; oldest_ > 0 && number <= number_; ++number) {
    RedoLog& log = Log(number);
    if (number > oldest_ && log.header()->first_sequence != sequence_) {
      return Error(StatusCode::kDataLoss, "{}/redo.{} lacks its end; restore a backup", dir_,
                   (number - 1) % kLogFiles);
    }
    ASSIGN_OR_RETURN(sequence_, log.Read([this](std::string_view record) { return Redo(record); }));
  }
  RETURN_IF_ERROR(FlushRedone());
  RETURN_IF_ERROR(env_->Sync());
  RETURN_IF_ERROR(StartOver());
  return env_->SetSync(false);
}

common::Status DurableEnv::Redo(std::string_view record) {
  if (!redone_) {
    ASSIGN_OR_RETURN(lmdb::WriteTxn txn, env_->BeginWrite());
    redone_.emplace(std::move(txn));
  }
  redone_bytes_ += record.size();
  while (record.size() >= kChangeHeaderBytes) {
    const char kind = record[0];
    const auto table = static_cast<std::size_t>(static_cast<unsigned char>(record[1]));
    const std::size_t key_bytes = lmdb::ReadBigEndian32(record.substr(2));
    const std::size_t value_bytes = lmdb::ReadBigEndian32(record.substr(6));
    record.remove_prefix(kChangeHeaderBytes);
    const bool known = table < tables_.size() && (kind == kPut || kind == kDelete);
    if (!known || key_bytes + value_bytes > record.size()) break;
    const std::string_view key = record.substr(0, key_bytes);
    const std::string_view value = record.substr(key_bytes, value_bytes);
    record.remove_prefix(key_bytes + value_bytes);
    if (kind == kPut) RETURN_IF_ERROR(redone_->Put(tables_[table], key, value));
    if (kind == kDelete) RETURN_IF_ERROR(redone_->Delete(tables_[table], key).status());
  }
  if (!record.empty()) return Error(StatusCode::kDataLoss, "a record of the redo log is malformed");
  return redone_bytes_ < kRedoneBytesMax ? common::OkStatus() : FlushRedone();
}

common::Status DurableEnv::FlushRedone() {
  if (!redone_) return common::OkStatus();
  common::Status status = redone_->Commit();
  redone_.reset();
  redone_bytes_ = 0;
  return status;
}

common::StatusOr<lmdb::WriteTxn> DurableEnv::BeginWrite() {
  CHECK(recorder_ != nullptr);
  RETURN_IF_ERROR(broken_);
  recorder_->Clear();
  return env_->BeginWrite(logs_.empty() ? nullptr : recorder_.get());
}

common::Status DurableEnv::Commit(lmdb::WriteTxn txn) {
  const std::string& record = recorder_->changes();
  if (logs_.empty() || record.empty()) return txn.Commit();
  const common::Status appended =
      record.size() > log_bytes_
          ? Error(StatusCode::kResourceExhausted, "larger than the log may become")
          : log().Append(record);
  if (appended.code() == StatusCode::kResourceExhausted) return CommitWithoutLog(std::move(txn));
  if (!appended.ok()) return broken_ = appended;
  common::Status committed = txn.Commit();
  if (!committed.ok()) {
    broken_ = log().Retract();
    return broken_.ok() ? committed : broken_;
  }
  ++sequence_;
  broken_ = Advance();  // this commit is durable; the next is told
  return common::OkStatus();
}

// LMDB's own way: its pages are flushed before its commit can be seen. Meanwhile no log is needed,
// or recovery would take back what somebody may have seen.
common::Status DurableEnv::CommitWithoutLog(lmdb::WriteTxn txn) {
  broken_ = EndLogs();
  RETURN_IF_ERROR(broken_);
  RETURN_IF_ERROR(env_->SetSync(true));
  common::Status committed = txn.Commit();
  RETURN_IF_ERROR(env_->SetSync(false));
  broken_ = StartOver();
  return broken_.ok() ? committed : broken_;
}

common::StatusOr<bool> DurableEnv::MakeRoom() {
  if (logs_.empty() || log().bytes() == 0 || !broken_.ok()) return false;
  const auto step = [this]() -> common::Status {
    RETURN_IF_ERROR(EndLogs());
    RETURN_IF_ERROR(StartOver());
    for (RedoLog& log : logs_) RETURN_IF_ERROR(log.Shrink());
    return common::OkStatus();
  };
  broken_ = step();
  RETURN_IF_ERROR(broken_);
  return true;
}

common::Status DurableEnv::EndLogs() {
  if (flushing_) RETURN_IF_ERROR(FinishCheckpoint());
  RETURN_IF_ERROR(env_->Sync());
  return log().End();
}

common::Status DurableEnv::BeginLog(std::uint64_t oldest) {
  ASSIGN_OR_RETURN(std::string image, ReadImage());
  RETURN_IF_ERROR(Log(number_ + 1)
                      .Begin({.number = number_ + 1,
                              .oldest = oldest,
                              .first_sequence = sequence_,
                              .image = std::move(image)}));
  ++number_;
  used_at_pin_ = env_->used_bytes();
  return common::OkStatus();
}

common::Status DurableEnv::StartOver() {
  ASSIGN_OR_RETURN(lmdb::ReadTxn pin, env_->BeginRead());
  RETURN_IF_ERROR(BeginLog(number_ + 1));
  RETURN_IF_ERROR(log().Sync());
  for (RedoLog& older : logs_) {
    if (&older != &log() && older.header() && !older.ended()) RETURN_IF_ERROR(older.End());
  }
  oldest_ = number_;
  pin_.emplace(std::move(pin));
  return common::OkStatus();
}

common::Status DurableEnv::StartCheckpoint() {
  ASSIGN_OR_RETURN(lmdb::ReadTxn pin, env_->BeginRead());
  RETURN_IF_ERROR(BeginLog(oldest_));
  next_pin_.emplace(std::move(pin));
  flushing_ = true;
  flushed_ = false;
  flush_ = common::Thread("flush", [this] {
    flush_status_ = env_->SyncGently();
    flushed_ = true;
  });
  return common::OkStatus();
}

common::Status DurableEnv::FinishCheckpoint() {
  flush_.Join();
  flushing_ = false;
  RETURN_IF_ERROR(flush_status_);
  RETURN_IF_ERROR(log().Sync());
  RETURN_IF_ERROR(Log(oldest_).End());
  oldest_ = number_;
  pin_.emplace(*std::move(next_pin_));
  next_pin_.reset();
  return common::OkStatus();
}

// How much is held for recovery, in the measure of the next checkpoint.
double DurableEnv::Due() const {
  const std::size_t used = env_->used_bytes();
  const std::size_t grown = used - std::min(used, used_at_pin_);
  const auto part = [](std::size_t of, std::size_t whole) {
    return static_cast<double>(of) / static_cast<double>(whole);
  };
  return std::max(part(log().bytes(), log_bytes_), part(grown, kGrowthMax));
}

common::Status DurableEnv::Advance() {
  // Twice: the disk does not keep up. Wait for it before more is held.
  if (flushing_ && (flushed_ || Due() >= 2)) RETURN_IF_ERROR(FinishCheckpoint());
  return flushing_ || Due() < 1 ? common::OkStatus() : StartCheckpoint();
}

}  // namespace cp
