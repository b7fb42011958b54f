// LmdbStore: the store in one LMDB environment of this process; every commit is one transaction
// with fsync.
//
// Thread: as Store says.  Lifetime: outlives its views.
// How records lie: layout.h. A full disk or map refuses the commit and changes nothing; commits
// work again when there is room. What only removes goes beyond the map's bound, into a reserve, so
// that room can be made. After an I/O error nothing is written any more (DATA_LOSS): what
// the disk holds is unknown until the directory is opened again.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/lmdb.h"
#include "common/mutex.h"
#include "control-plane/store/backup.h"
#include "control-plane/store/compactor.h"
#include "control-plane/store/store.h"
#include "control-plane/store/tables.h"

namespace cp {

struct LmdbStoreOptions {
  std::string dir;                            // created if absent
  std::size_t map_bytes = std::size_t{256} << 30;  // address space, not memory: bounds the file
  unsigned views_max = 512;                   // open at once
  bool sync = true;  // false: commits survive kill -9 but not a host crash; for benchmarks
};

class LmdbStore final : public Store {
 public:
  // FAILED_PRECONDITION: the directory is in use, another program's or a newer version's.
  static common::StatusOr<std::unique_ptr<LmdbStore>> Open(const LmdbStoreOptions& options);

  Epoch epoch() const override { return epoch_; }
  common::StatusOr<std::vector<Outcome>> Commit(const Group& group) override;
  common::StatusOr<std::unique_ptr<View>> OpenView() const override;
  CatalogPtr catalog() const override;
  common::StatusOr<std::uint64_t> LastSequence(std::string_view publisher_id) const override;
  common::StatusOr<bool> Compact(std::int64_t before_ms, std::uint64_t count_max,
                                 std::size_t budget) override;
  common::StatusOr<Expired> Expire(std::int64_t now_ms, std::size_t count_max) override;
  std::optional<std::int64_t> next_expiry_ms() const override;
  std::size_t bytes_used() const override { return env_.used_bytes(); }
  common::StatusOr<std::unique_ptr<BackupReader>> OpenBackup(std::int64_t now_ms) const override {
    return BackupReader::Open(env_, tables_, now_ms);
  }

  // For check.h: the rows behind the interface.
  const common::lmdb::Env& env() const { return env_; }
  const Tables& tables() const { return tables_; }

 private:
  static constexpr std::int64_t kNever = INT64_MAX;

  LmdbStore(common::lmdb::Env env, std::size_t bytes_max, const Tables& tables, Epoch epoch,
            CatalogPtr catalog)
      : env_(std::move(env)),
        bytes_max_(bytes_max),
        tables_(tables),
        epoch_(epoch),
        catalog_(std::move(catalog)) {}

  common::Status CheckUsable() const;
  // Remembers an error after which the store must not be written.
  common::Status Note(common::Status status);
  common::StatusOr<std::vector<Outcome>> WriteGroup(const Group& group);
  // What the tables hold.
  common::StatusOr<std::size_t> LiveBytes(const common::lmdb::Txn& txn) const;
  // RESOURCE_EXHAUSTED: `txn` would leave more than `before` and more than the map's bound.
  common::Status CheckRoom(const common::lmdb::Txn& txn, std::size_t before) const;
  // Remembers when the next entry expires, as `txn` sees it.
  common::Status NoteExpiry(const common::lmdb::Txn& txn, std::int64_t& next) const;
  void UpdateCatalog(const std::vector<DeclarationChange>& changes);

  common::lmdb::Env env_;
  const std::size_t bytes_max_;
  const Tables tables_;
  const Epoch epoch_;
  CompactionProgress progress_;
  bool broken_ = false;
  std::atomic<std::int64_t> next_expiry_ms_{kNever};
  mutable common::Mutex mutex_;
  CatalogPtr catalog_ TSA_GUARDED_BY(mutex_);  // replaced by the committer, taken by all
};

}  // namespace cp
