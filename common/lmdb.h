// LMDB as RAII values: Env, Txn, Cursor. The only file that calls mdb_*.
//
// Thread: an Env is shared; a Txn and its cursors belong to the thread that uses them (the
// environment is opened with MDB_NOTLS, so a read transaction may be reset and renewed).
// Lifetime: an Env outlives its transactions; a transaction outlives its cursors; views returned by
// a transaction are valid until it ends, is reset, or (when writing) until the next write.
// Source: lmdb.h of liblmdb 0.9.24.
#pragma once

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/status.h"

namespace common::lmdb {

using Dbi = MDB_dbi;

// mdb codes as statuses: MAP_FULL, ENOSPC, a commit cut short → RESOURCE_EXHAUSTED; CORRUPTED,
// INVALID → DATA_LOSS;
// NOTFOUND → NOT_FOUND; EACCES → PERMISSION_DENIED; all others INTERNAL.
Status ToStatus(int code, std::string_view doing);

struct EnvOptions {
  std::string dir;                      // created (0700) if absent, parents included
  std::size_t map_bytes = 64ULL << 30;  // address space, not memory; writes fail when it is full
  unsigned databases_max = 16;
  unsigned readers_max = 126;
  bool sync = true;        // false: MDB_NOSYNC, survives kill -9, not a host crash
  bool read_only = false;  // for inspection by another process
  // Called when the directory is locked, before anything in it is opened: the place to refuse or
  // to empty it. A failure is returned by Open.
  std::function<Status()> prepare = {};
};

// What a map needs beyond the bound on what it holds, so that transactions get through that leave
// no more than there was: LMDB copies the pages it changes, also to delete, and a map that is full
// to the last page would stay so.
std::size_t MapReserve(std::size_t bytes_max);

class ReadTxn;
class WriteTxn;

// Told of every change that a write transaction makes, in order, whether it will commit or not.
class WriteListener {
 public:
  WriteListener() = default;
  WriteListener(const WriteListener&) = delete;
  WriteListener& operator=(const WriteListener&) = delete;
  virtual ~WriteListener() = default;
  virtual void OnPut(Dbi dbi, std::string_view key, std::string_view value) = 0;
  virtual void OnDelete(Dbi dbi, std::string_view key) = 0;
};

class Env {
 public:
  // FAILED_PRECONDITION: another process or Env of this process holds `dir` (an flock on
  // `dir`/lock, released when the process dies).
  static StatusOr<Env> Open(const EnvOptions& options);
  ~Env();
  Env(const Env&) = delete;
  Env(Env&& other) noexcept;
  Env& operator=(const Env&) = delete;
  Env& operator=(Env&& other) noexcept;

  StatusOr<ReadTxn> BeginRead() const;
  // Blocks while another write transaction is open. `listener`: told of every change but Clear;
  // outlives the transaction. Null: nobody wants to know.
  StatusOr<WriteTxn> BeginWrite(WriteListener* listener = nullptr);

  // Opens, or creates, a named database; the handle is valid for transactions begun afterwards.
  StatusOr<Dbi> OpenDatabase(const std::string& name);
  // As OpenDatabase, but never creates: absent if there is none of that name.
  StatusOr<std::optional<Dbi>> FindDatabase(const std::string& name);
  // True if no named database was ever created.
  StatusOr<bool> IsEmpty() const;

  Status Sync();  // flushes to disk; from any thread
  // As Sync, in small steps, so that others' flushes on this disk do not wait for all of it.
  Status SyncGently();
  // Whether commits from now on do so: EnvOptions::sync. REQUIRES: nobody else calls Sync.
  Status SetSync(bool sync);
  std::size_t map_bytes() const;  // the bound
  std::size_t page_bytes() const;
  std::size_t used_bytes() const;   // pages in use × page size, from the last commit
  std::size_t last_commit() const;  // its Txn::id(); not older than what any reader has seen
  MDB_env* raw() const { return env_; }

 private:
  Env(MDB_env* env, int lock_fd) : env_(env), lock_fd_(lock_fd) {}
  void Close();

  MDB_env* env_ = nullptr;
  int lock_fd_ = -1;
};

// What both kinds of transaction can do.
class Txn {
 public:
  // NOT_FOUND never: absent is nullopt. Any other failure is DATA_LOSS or INTERNAL.
  StatusOr<std::optional<std::string_view>> Get(Dbi dbi, std::string_view key) const;
  StatusOr<std::size_t> Count(Dbi dbi) const;
  // Of the pages that hold its entries; pages that are free are nobody's.
  StatusOr<std::size_t> Bytes(Dbi dbi) const;
  MDB_txn* raw() const { return txn_; }
  std::size_t id() const { return mdb_txn_id(txn_); }

 protected:
  friend class Cursor;

  explicit Txn(MDB_txn* txn, WriteListener* listener = nullptr) : txn_(txn), listener_(listener) {}
  Txn(const Txn&) = delete;
  Txn(Txn&& other) noexcept
      : txn_(std::exchange(other.txn_, nullptr)), listener_(other.listener_) {}
  Txn& operator=(const Txn&) = delete;
  Txn& operator=(Txn&&) = delete;
  ~Txn() {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
  }
  MDB_txn* txn_;
  WriteListener* listener_;  // null: nobody wants to know
};

class ReadTxn final : public Txn {
 public:
  explicit ReadTxn(MDB_txn* txn) : Txn(txn) {}
  ReadTxn(const ReadTxn&) = delete;
  ReadTxn(ReadTxn&&) noexcept = default;
  ReadTxn& operator=(const ReadTxn&) = delete;
  ReadTxn& operator=(ReadTxn&&) = delete;
  ~ReadTxn() = default;

  // Lets go of the snapshot so that its pages can be reused; nothing may be read until Renew.
  void Reset() { mdb_txn_reset(txn_); }
  // Takes the newest snapshot. REQUIRES: Reset was called.
  Status Renew();
  // Ends the transaction; database handles opened in it stay valid.
  Status KeepHandles();
};

class WriteTxn final : public Txn {
 public:
  WriteTxn(MDB_txn* txn, WriteListener* listener) : Txn(txn, listener) {}
  WriteTxn(const WriteTxn&) = delete;
  WriteTxn(WriteTxn&&) noexcept = default;
  WriteTxn& operator=(const WriteTxn&) = delete;
  WriteTxn& operator=(WriteTxn&&) = delete;
  ~WriteTxn() = default;

  // As Env::OpenDatabase, within this transaction; valid for others once it has committed.
  StatusOr<Dbi> OpenDatabase(const std::string& name);
  Status Put(Dbi dbi, std::string_view key, std::string_view value);
  // Writes only if `key` is absent; else returns its value (valid until the next write).
  StatusOr<std::optional<std::string_view>> PutIfAbsent(Dbi dbi, std::string_view key,
                                                        std::string_view value);
  // REQUIRES: `key` sorts after every key of `dbi`; else ALREADY_EXISTS and nothing is written.
  Status Append(Dbi dbi, std::string_view key, std::string_view value);
  // True if there was something to delete.
  StatusOr<bool> Delete(Dbi dbi, std::string_view key);
  // Deletes all entries, keeps the database. REQUIRES: no listener.
  Status Clear(Dbi dbi);

  // Ends the transaction either way; on failure nothing of it is stored. REQUIRES: the cursors of
  // this transaction are destroyed.
  Status Commit();
};

// Walks a database in key order.  for (cursor.Seek(k); cursor.valid(); cursor.Next()) …
class Cursor {
 public:
  static StatusOr<Cursor> Open(const Txn& txn, Dbi dbi);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor(Cursor&& other) noexcept;
  Cursor& operator=(const Cursor&) = delete;
  Cursor& operator=(Cursor&&) = delete;

  Status Seek(std::string_view key);  // to the first key ≥ `key`
  Status First();
  Status Last();
  Status Next();
  Status Prev();
  bool valid() const { return valid_; }
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  // Deletes the entry it stands on and moves to the next. REQUIRES: opened in a WriteTxn.
  Status DeleteCurrent();
  // As WriteTxn::Append, but cheaper when repeated. REQUIRES: opened in a WriteTxn.
  Status Append(std::string_view key, std::string_view value);

 private:
  Cursor(MDB_cursor* cursor, WriteListener* listener) : cursor_(cursor), listener_(listener) {}
  Status Move(MDB_val key, MDB_cursor_op operation);

  MDB_cursor* cursor_;
  WriteListener* listener_;
  std::string_view key_;
  std::string_view value_;
  bool valid_ = false;
};

// Big-endian numbers, so that byte order is number order.
inline void AppendBigEndian32(std::uint32_t value, std::string& out) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
inline void AppendBigEndian64(std::uint64_t value, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
std::uint32_t ReadBigEndian32(std::string_view bytes);  // REQUIRES: at least 4 bytes
std::uint64_t ReadBigEndian64(std::string_view bytes);  // REQUIRES: at least 8 bytes

}  // namespace common::lmdb
