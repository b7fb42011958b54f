#include "common/lmdb.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "common/limits.h"

namespace common::lmdb {
namespace {

MDB_val ToVal(std::string_view bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())};
}

std::string_view ToView(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

StatusCode CodeOf(int code) {
  switch (code) {
    case MDB_NOTFOUND:
      return StatusCode::kNotFound;
    case MDB_KEYEXIST:
      return StatusCode::kAlreadyExists;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_READERS_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return StatusCode::kResourceExhausted;
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case EIO:
      return StatusCode::kDataLoss;
    case MDB_VERSION_MISMATCH:
      return StatusCode::kFailedPrecondition;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    default:
      return StatusCode::kInternal;
  }
}

StatusOr<int> LockDirectory(const std::string& dir) {
  const std::string path = dir + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ToStatus(errno, "open " + path);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const int code = errno;
  ::close(fd);
  if (code != EWOULDBLOCK) return ToStatus(code, "lock " + path);
  return Error(StatusCode::kFailedPrecondition,
               "data directory {} is in use by another process; stop it or choose another "
               "--data-dir",
               dir);
}

Status Configure(MDB_env* env, const EnvOptions& options) {
  RETURN_IF_ERROR(ToStatus(mdb_env_set_mapsize(env, options.map_bytes), "set the map size"));
  RETURN_IF_ERROR(ToStatus(mdb_env_set_maxdbs(env, options.databases_max), "set max databases"));
  RETURN_IF_ERROR(ToStatus(mdb_env_set_maxreaders(env, options.readers_max), "set max readers"));
  unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
  if (!options.sync) flags |= MDB_NOSYNC;
  if (options.read_only) flags |= MDB_RDONLY;
  RETURN_IF_ERROR(
      ToStatus(mdb_env_open(env, options.dir.c_str(), flags, 0600), "open " + options.dir));
  int dead = 0;
  RETURN_IF_ERROR(ToStatus(mdb_reader_check(env, &dead), "check for dead readers"));
  CHECK(static_cast<std::size_t>(mdb_env_get_maxkeysize(env)) >= kLmdbKeyBytesMax);
  return OkStatus();
}

}  // namespace

Status ToStatus(int code, std::string_view doing) {
  if (code == MDB_SUCCESS) return OkStatus();
  return Error(CodeOf(code), "{}: {}", doing, mdb_strerror(code));
}

std::size_t MapReserve(std::size_t bytes_max) {
  return (bytes_max / 8 + kMiB) / kMiB * kMiB;  // whole pages
}

StatusOr<Env> Env::Open(const EnvOptions& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.dir, failed);
  if (failed) {
    return Error(StatusCode::kPermissionDenied, "create data directory {}: {}", options.dir,
                 failed.message());
  }
  int lock_fd = -1;
  if (!options.read_only) {
    ASSIGN_OR_RETURN(lock_fd, LockDirectory(options.dir));
  }
  Env env(nullptr, lock_fd);
  if (options.prepare) RETURN_IF_ERROR(options.prepare());
  RETURN_IF_ERROR(ToStatus(mdb_env_create(&env.env_), "create an LMDB environment"));
  RETURN_IF_ERROR(Configure(env.env_, options));
  return env;
}

Env::~Env() { Close(); }

Env::Env(Env&& other) noexcept
    : env_(std::exchange(other.env_, nullptr)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

Env& Env::operator=(Env&& other) noexcept {
  if (this == &other) return *this;
  Close();
  env_ = std::exchange(other.env_, nullptr);
  lock_fd_ = std::exchange(other.lock_fd_, -1);
  return *this;
}

void Env::Close() {
  if (env_ != nullptr) mdb_env_close(env_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

StatusOr<ReadTxn> Env::BeginRead() const {
  MDB_txn* txn = nullptr;
  RETURN_IF_ERROR(ToStatus(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn), "begin a read"));
  return ReadTxn(txn);
}

StatusOr<WriteTxn> Env::BeginWrite(WriteListener* listener) {
  MDB_txn* txn = nullptr;
  RETURN_IF_ERROR(ToStatus(mdb_txn_begin(env_, nullptr, 0, &txn), "begin a write"));
  return WriteTxn(txn, listener);
}

StatusOr<Dbi> Env::OpenDatabase(const std::string& name) {
  ASSIGN_OR_RETURN(WriteTxn txn, BeginWrite());
  ASSIGN_OR_RETURN(const Dbi dbi, txn.OpenDatabase(name));
  RETURN_IF_ERROR(txn.Commit());
  return dbi;
}

StatusOr<std::optional<Dbi>> Env::FindDatabase(const std::string& name) {
  ASSIGN_OR_RETURN(ReadTxn txn, BeginRead());
  Dbi dbi = 0;
  const int code = mdb_dbi_open(txn.raw(), name.c_str(), 0, &dbi);
  if (code == MDB_NOTFOUND) return std::optional<Dbi>();
  RETURN_IF_ERROR(ToStatus(code, "open database " + name));
  RETURN_IF_ERROR(txn.KeepHandles());
  return std::optional(dbi);
}

StatusOr<bool> Env::IsEmpty() const {
  MDB_stat stat;
  RETURN_IF_ERROR(ToStatus(mdb_env_stat(env_, &stat), "stat"));
  return stat.ms_entries == 0;
}

Status Env::Sync() { return ToStatus(mdb_env_sync(env_, 1), "sync"); }

Status Env::SyncGently() {
  constexpr off64_t kStep = 1 * kMiB;
  constexpr unsigned kWriteAndWait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  int fd = -1;
  RETURN_IF_ERROR(ToStatus(mdb_env_get_fd(env_, &fd), "sync"));
  const auto end = static_cast<off64_t>(used_bytes());
  // Failures show in Sync, which makes durable what this has only written.
  for (off64_t at = 0; at < end; at += kStep) ::sync_file_range(fd, at, kStep, kWriteAndWait);
  return Sync();
}

Status Env::SetSync(bool sync) {
  return ToStatus(mdb_env_set_flags(env_, MDB_NOSYNC, sync ? 0 : 1), "set whether commits sync");
}

std::size_t Env::map_bytes() const {
  MDB_envinfo info;
  mdb_env_info(env_, &info);
  return info.me_mapsize;
}

std::size_t Env::page_bytes() const {
  MDB_stat stat;
  mdb_env_stat(env_, &stat);
  return stat.ms_psize;
}

std::size_t Env::used_bytes() const {
  MDB_envinfo info;
  MDB_stat stat;
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

std::size_t Env::last_commit() const {
  MDB_envinfo info;
  mdb_env_info(env_, &info);
  return info.me_last_txnid;
}

StatusOr<std::optional<std::string_view>> Txn::Get(Dbi dbi, std::string_view key) const {
  MDB_val k = ToVal(key);
  MDB_val v;
  const int code = mdb_get(txn_, dbi, &k, &v);
  if (code == MDB_SUCCESS) return std::optional(ToView(v));
  if (code == MDB_NOTFOUND) return std::optional<std::string_view>();
  return ToStatus(code, "read");
}

StatusOr<std::size_t> Txn::Count(Dbi dbi) const {
  MDB_stat stat;
  RETURN_IF_ERROR(ToStatus(mdb_stat(txn_, dbi, &stat), "stat"));
  return stat.ms_entries;
}

StatusOr<std::size_t> Txn::Bytes(Dbi dbi) const {
  MDB_stat stat;
  RETURN_IF_ERROR(ToStatus(mdb_stat(txn_, dbi, &stat), "stat"));
  return (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
}

Status ReadTxn::KeepHandles() {
  return ToStatus(mdb_txn_commit(std::exchange(txn_, nullptr)), "end a read");
}

Status ReadTxn::Renew() { return ToStatus(mdb_txn_renew(txn_), "renew a read"); }

StatusOr<Dbi> WriteTxn::OpenDatabase(const std::string& name) {
  Dbi dbi = 0;
  RETURN_IF_ERROR(
      ToStatus(mdb_dbi_open(txn_, name.c_str(), MDB_CREATE, &dbi), "open database " + name));
  return dbi;
}

Status WriteTxn::Put(Dbi dbi, std::string_view key, std::string_view value) {
  MDB_val k = ToVal(key);
  MDB_val v = ToVal(value);
  if (listener_ != nullptr) listener_->OnPut(dbi, key, value);
  return ToStatus(mdb_put(txn_, dbi, &k, &v, 0), "write");
}

StatusOr<std::optional<std::string_view>> WriteTxn::PutIfAbsent(Dbi dbi, std::string_view key,
                                                                std::string_view value) {
  MDB_val k = ToVal(key);
  MDB_val v = ToVal(value);
  const int code = mdb_put(txn_, dbi, &k, &v, MDB_NOOVERWRITE);
  if (code == MDB_KEYEXIST) return std::optional(ToView(v));
  RETURN_IF_ERROR(ToStatus(code, "write"));
  if (listener_ != nullptr) listener_->OnPut(dbi, key, value);
  return std::optional<std::string_view>();
}

Status WriteTxn::Append(Dbi dbi, std::string_view key, std::string_view value) {
  MDB_val k = ToVal(key);
  MDB_val v = ToVal(value);
  if (listener_ != nullptr) listener_->OnPut(dbi, key, value);
  return ToStatus(mdb_put(txn_, dbi, &k, &v, MDB_APPEND), "append");
}

StatusOr<bool> WriteTxn::Delete(Dbi dbi, std::string_view key) {
  MDB_val k = ToVal(key);
  if (listener_ != nullptr) listener_->OnDelete(dbi, key);
  const int code = mdb_del(txn_, dbi, &k, nullptr);
  if (code == MDB_NOTFOUND) return false;
  RETURN_IF_ERROR(ToStatus(code, "delete"));
  return true;
}

Status WriteTxn::Clear(Dbi dbi) {
  CHECK(listener_ == nullptr);
  return ToStatus(mdb_drop(txn_, dbi, 0), "clear a database");
}

// LMDB reports a write that was cut short, as happens when the disk fills up, as EIO.
Status WriteTxn::Commit() {
  const int code = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (code != EIO) return ToStatus(code, "commit");
  return Error(StatusCode::kResourceExhausted, "commit: the disk is full or fails to write");
}

StatusOr<Cursor> Cursor::Open(const Txn& txn, Dbi dbi) {
  MDB_cursor* cursor = nullptr;
  RETURN_IF_ERROR(ToStatus(mdb_cursor_open(txn.raw(), dbi, &cursor), "open a cursor"));
  return Cursor(cursor, txn.listener_);
}

Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

Cursor::Cursor(Cursor&& other) noexcept
    : cursor_(std::exchange(other.cursor_, nullptr)),
      listener_(other.listener_),
      key_(other.key_),
      value_(other.value_),
      valid_(other.valid_) {}

Status Cursor::Move(MDB_val key, MDB_cursor_op operation) {
  MDB_val value;
  const int code = mdb_cursor_get(cursor_, &key, &value, operation);
  valid_ = code == MDB_SUCCESS;
  if (code == MDB_NOTFOUND) return OkStatus();
  RETURN_IF_ERROR(ToStatus(code, "move a cursor"));
  key_ = ToView(key);
  value_ = ToView(value);
  return OkStatus();
}

Status Cursor::Seek(std::string_view key) {
  return key.empty() ? First() : Move(ToVal(key), MDB_SET_RANGE);
}
Status Cursor::First() { return Move({}, MDB_FIRST); }
Status Cursor::Last() { return Move({}, MDB_LAST); }
Status Cursor::Next() { return Move({}, MDB_NEXT); }
Status Cursor::Prev() { return Move({}, MDB_PREV); }

// After a deletion MDB_NEXT stands still, on the entry that has moved up. (MDB_GET_CURRENT would do
// so too, but fails with EINVAL when the last entry is gone.)
Status Cursor::DeleteCurrent() {
  if (listener_ != nullptr) listener_->OnDelete(mdb_cursor_dbi(cursor_), key_);
  RETURN_IF_ERROR(ToStatus(mdb_cursor_del(cursor_, 0), "delete"));
  return Next();
}

Status Cursor::Append(std::string_view key, std::string_view value) {
  MDB_val k = ToVal(key);
  MDB_val v = ToVal(value);
  if (listener_ != nullptr) listener_->OnPut(mdb_cursor_dbi(cursor_), key, value);
  return ToStatus(mdb_cursor_put(cursor_, &k, &v, MDB_APPEND), "append");
}

std::uint32_t ReadBigEndian32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::uint64_t ReadBigEndian64(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace common::lmdb
