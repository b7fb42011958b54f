// Writer's inside: the copies as committed last, and the parts its transactions are made of.
//
// Thread: the writer's.  Lifetime: the environment and the listener outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/cache/commit_feed.h"
#include "agent/cache/disk_reserve.h"
#include "agent/cache/environment.h"
#include "agent/cache/generation_edit.h"
#include "agent/cache/layout.h"

namespace agent {

// The keys that a transaction changes, for the listener. Bounded by kChangedKeysMax.
struct Notice {
  std::string dataset;
  std::vector<ChangedKey> keys = {};
  bool too_many = false;

  void Add(std::string_view key, bool deleted, const common::Version& version);
  void Send(ChangeListener& listener);
};

struct Writer::Impl {
  // What a transaction changes: entries and totals only, or what readers must look up anew.
  enum class Kind { kEntries, kLayout };

  CurrentEnvironment& current;
  const CacheOptions& options;
  std::shared_ptr<Environment> environment;
  ChangeListener& listener;
  std::map<common::Collection, CopyRecord> copies = {};
  std::uint64_t layout = 0;
  std::uint32_t next_id = 0;
  bool staging_is_foreign = false;  // left by an earlier process: the next transaction clears it
  bool erasure_pending = false;     // as kMetaErasure
  std::string buffer = {};          // one record
  DiskReserve reserve;              // beside the data file, for cuts that only remove
  bool into_reserve = false;        // the transaction under way may take all of the map
  ChangedPlaces changed = {};       // by the transaction under way, in a readable generation

  common::StatusOr<common::lmdb::WriteTxn> Begin();
  common::Status BumpLayout(common::lmdb::WriteTxn& txn);
  // Runs `body(txn, record)` and stores the record it leaves.
  template <class Body>
  common::Status Transact(const common::Collection& collection, Kind kind, Body body);
  void Committed(Kind kind);
  common::Status Failed(common::Status status, const CopyRecord& record);
  common::Status CommitNothing();
  // What the file holds as `txn` sees it, if `record` is as it says.
  common::StatusOr<std::size_t> LiveBytes(const common::lmdb::Txn& txn,
                                          const CopyRecord& record) const;
  // RESOURCE_EXHAUSTED: `txn`, which makes `next` of a copy, would leave more than before and more
  // than the option allows.
  common::Status CheckRoom(const common::lmdb::WriteTxn& txn, const CopyRecord& next) const;
  bool Shrinks(const CopyRecord& record, std::span<const Change> changes) const;
  // In a transaction that erases `record`.
  common::Status NoteErasure(common::lmdb::WriteTxn& txn, const CopyRecord& record);
  void ForgetFaults(const CopyRecord& before, const CopyRecord& after);

  common::Status NewLoad(const common::Collection& collection, const common::Version& at,
                         bool repairs);
  common::StatusOr<std::uint32_t> FreeSlot();
  common::StatusOr<std::optional<Generation>> NewGeneration();
  common::Status Drop(common::lmdb::WriteTxn& txn, std::optional<Generation>& generation);
  common::Status DropStaged(common::lmdb::WriteTxn& txn, CopyRecord& record);
  common::Status Erase(common::lmdb::WriteTxn& txn, CopyRecord& record);
  // Puts `bytes`, which is `record`; without one: removes. `notice` null: nobody wants to know.
  common::Status Edit(GenerationEdit& edit, std::string_view key, std::string_view bytes,
                      const std::optional<EntryRecord>& record, const common::Version& version,
                      Notice* notice);
  common::Status EditAll(GenerationEdit& edit, std::span<const Change> changes, Notice* notice);
  common::Status EditStaged(common::lmdb::WriteTxn& txn, GenerationEdit& edit,
                            const CopyRecord& record, Notice* notice);
  common::Status EditCut(common::lmdb::WriteTxn& txn, CopyRecord& record,
                         std::span<const Change> changes, Notice* notice);
  // As Transact with `cut(txn, record, changes)`; a cut that leaves less in the copy than there is
  // may use what is kept back.
  using Cut =
      std::function<common::Status(common::lmdb::WriteTxn&, CopyRecord&, std::span<const Change>)>;
  common::Status TransactCut(const common::Collection& collection, Kind kind,
                             std::span<const Change> changes, const Cut& cut);
};

template <class Body>
common::Status Writer::Impl::Transact(const common::Collection& collection, Kind kind, Body body) {
  const auto found = copies.find(collection);
  if (found == copies.end()) {
    return common::Error(common::StatusCode::kNotFound, "no copy of {}",
                         CollectionName(collection));
  }
  CopyRecord next = found->second;
  changed.Reset();
  const auto attempt = [&]() -> common::Status {
    ASSIGN_OR_RETURN(common::lmdb::WriteTxn txn, Begin());
    if (common::Status status = body(txn, next); !status.ok()) return status;
    if (kind == Kind::kLayout) RETURN_IF_ERROR(BumpLayout(txn));
    RETURN_IF_ERROR(txn.Put(environment->copies, CopyKey(next.id), EncodeCopyRecord(next)));
    RETURN_IF_ERROR(CheckRoom(txn, next));
    changed.txn = txn.id();
    if (changed.any()) environment->feeds.Announce(changed);
    return txn.Commit();
  };
  if (common::Status status = attempt(); !status.ok()) return Failed(status, found->second);
  Committed(kind);
  ForgetFaults(found->second, next);
  found->second = std::move(next);
  return common::OkStatus();
}

}  // namespace agent
