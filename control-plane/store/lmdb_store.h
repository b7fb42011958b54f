// LmdbStore: the store in one LMDB environment of this process; every commit is one transaction,
// durable by a redo log (durable_env.h).
//
// Thread: as Store says.  Lifetime: outlives its views.
// How records lie: layout.h. A full disk or map refuses the commit and changes nothing; commits
// work again when there is room. What only removes goes beyond the map's bound, into a reserve, so
// that room can be made. After an I/O error nothing is written any more (DATA_LOSS): what
// the disk holds is unknown until the directory is opened again.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/limits.h"
#include "common/lmdb.h"
#include "common/mutex.h"
#include "control-plane/store/backup.h"
#include "control-plane/store/compactor.h"
#include "control-plane/store/durable_env.h"
#include "control-plane/store/store.h"
#include "control-plane/store/tables.h"

namespace cp {

struct LmdbStoreOptions {
  std::string dir;                            // created if absent
  std::size_t map_bytes = std::size_t{256} << 30;  // address space, not memory: bounds the file
  unsigned views_max = 512;                   // open at once
  std::size_t log_bytes = 16 * common::kMiB;  // of changes to make again after a crash, at most
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
  std::size_t bytes_used() const override { return env().used_bytes(); }
  common::StatusOr<std::unique_ptr<BackupReader>> OpenBackup(std::int64_t now_ms) const override {
    return BackupReader::Open(env(), tables_, now_ms);
  }

  // For tests: what is behind the interface.
  const common::lmdb::Env& env() const { return durable_->env(); }
  const Tables& tables() const { return tables_; }
  const DurableEnv& durable() const { return *durable_; }

 private:
  static constexpr std::int64_t kNever = INT64_MAX;

  LmdbStore(std::unique_ptr<DurableEnv> durable, std::size_t bytes_max, const Tables& tables,
            Epoch epoch, CatalogPtr catalog)
      : durable_(std::move(durable)),
        bytes_max_(bytes_max),
        tables_(tables),
        epoch_(epoch),
        catalog_(std::move(catalog)) {}

  common::Status CheckUsable() const;
  // Remembers an error after which the store must not be written.
  common::Status Note(common::Status status);
  // Makes one write of `doing`; once more if it does not fit and room can be made.
  template <typename Result>
  common::StatusOr<Result> Write(std::string_view doing,
                                 const std::function<common::StatusOr<Result>()>& write);
  common::StatusOr<std::vector<Outcome>> WriteGroup(const Group& group);
  common::StatusOr<Expired> WriteExpired(std::int64_t now_ms, std::size_t count_max);
  // What the tables hold.
  common::StatusOr<std::size_t> LiveBytes(const common::lmdb::Txn& txn) const;
  // RESOURCE_EXHAUSTED: `txn` would leave more than `before` and more than the map's bound.
  common::Status CheckRoom(const common::lmdb::Txn& txn, std::size_t before) const;
  // Remembers when the next entry expires, as `txn` sees it.
  common::Status NoteExpiry(const common::lmdb::Txn& txn, std::int64_t& next) const;
  void UpdateCatalog(const std::vector<DeclarationChange>& changes);

  std::unique_ptr<DurableEnv> durable_;
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
