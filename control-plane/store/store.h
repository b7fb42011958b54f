// Store: the control plane's durable state – entries, change index, tombstones, publishers'
// outcomes, declarations, epoch.
//
// Thread: Commit from the committer only; OpenView from any thread (a View stays on the thread that
// opened it).  Lifetime: outlives its views.
// Interface of LmdbStore (embedded) and, later, EtcdStore; tests wrap it to inject faults.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "common/entry.h"
#include "common/limits.h"
#include "common/status.h"
#include "common/version.h"
#include "control-plane/store/catalog.h"

namespace cp {

using common::Epoch;
using common::Revision;

// --- writing ----------------------------------------------------------------------------------

inline constexpr std::size_t kBatchChecksMax = 10'000;             // of one batch
inline constexpr std::int64_t kExpiryMsMax = 253'402'300'799'999;  // Unix time: the year 9999
inline constexpr std::size_t kExpiredPerCommitMax = 2'000;         // entries; the rest comes next
// Values that were replaced, remembered with a publisher's outcomes for its retries.
inline constexpr std::size_t kOutcomeOldBytesKept = 64 * common::kKiB;

// When a put's entry expires: at a time, a while after the commit, when its predecessor would
// have, or never.
struct Expiry {
  std::int64_t at_ms = 0;  // Unix time, the control plane's clock; 0: not so
  std::int64_t in_ms = 0;  // after Group::now_ms; 0: not so
  bool keep = false;
};

// By the control plane's clock: an entry is there until its time, and not at it.
inline bool HasExpired(const common::EntryView& entry, std::int64_t now_ms) {
  return entry.expires_at_ms != 0 && entry.expires_at_ms <= now_ms;
}

// A write whose condition is not met does nothing; an entry that has expired counts as absent.
enum class Condition { kAlways, kIfAbsent, kIfPresent };

struct Write {
  std::string dataset;
  std::string key;
  std::optional<std::string> value = {};  // absent: delete
  std::string content_type = {};
  Expiry expiry = {};
  Condition condition = Condition::kAlways;
  bool return_old = false;  // the outcome tells the value that was there
};

// What somebody has seen. A batch whose checks do not all hold applies nothing.
struct Check {
  std::string dataset;
  std::string key;
  std::optional<common::Version> version = {};  // absent: there was no entry
  // Without a version: as of when there was none. The check holds if none has been there since;
  // also not if that is not known any more (below the floor, another epoch). Absent: if there is
  // none now.
  std::optional<common::Version> absent_since = {};
};

struct Batch {
  std::string publisher_id = {};
  std::uint64_t sequence = 0;
  std::uint64_t settled = 0;  // the publisher knows its outcomes up to here: they are forgotten
  std::vector<Write> writes = {};
  std::vector<Check> checks = {};
  // Set by whoever validated the batch: a refused batch applies nothing, but its outcome is
  // remembered like any other, so that a retry gets the same answer.
  common::Status refused = {};
};

// A full store takes it, as far as there is any reserve.
inline bool OnlyRemoves(const Batch& batch) {
  return std::ranges::none_of(batch.writes,
                              [](const Write& write) { return write.value.has_value(); });
}

// What became of a batch. A retry of a (publisher, sequence) that was decided before gets the first
// outcome again.
struct Outcome {
  common::Status status;  // OK: applied and durable
  // Of the commit, when applied. A batch that changes nothing (deletes of absent keys) gets the
  // greatest head of the datasets it names, so that waiting for it ends at once.
  Revision revision = 0;
  std::uint64_t deleted = 0;  // deletes that found an entry
  bool changed = false;       // entries changed in this very commit: no retry, no refusal
  // Bit i % 8 of byte i / 8: write i did nothing, because its condition was not met or there was
  // nothing to delete. Bytes that are not there are 0.
  std::string skipped = {};
  // Of writes with return_old that found an entry: index and value. A retry may find that old
  // values are not kept any more; it fails then (DATA_LOSS), and says that the batch was applied.
  std::vector<std::pair<std::uint32_t, std::string>> old = {};
};

// One durable commit: everything in it or nothing. Declarations come first, then the batches in
// order, each with a revision of its own.
struct Group {
  std::vector<Batch> batches;
  std::vector<DeclarationChange> declarations;
  std::vector<std::string> forget_publishers;
  std::int64_t now_ms = 0;  // Unix time: published_at, ages of tombstones and publishers
};

// What Store::Expire did.
struct Expired {
  std::vector<std::string> datasets;  // whose entries have expired, each once
  std::uint64_t entries = 0;
};

// --- reading ----------------------------------------------------------------------------------

// Where a change stands in a dataset's history: the ordinal-th write of the commit `revision`.
struct Position {
  Revision revision = 0;
  std::uint32_t ordinal = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};
// Behind every change of `revision`.
inline Position EndOf(Revision revision) { return {revision, UINT32_MAX}; }

struct DatasetState {
  std::uint32_t id = 0;
  Revision head = 0;   // the last commit that changed this dataset; its creation takes one, too
  Revision floor = 0;  // changes up to here may have lost tombstones: resume only from ≥ floor
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // keys + values
  common::Digest digest;
  std::uint64_t tombstones = 0;  // kept
};

struct Stored {
  std::string_view key;
  common::Version version;
  // An encoded `resources` field (common/entry.h); empty: tombstone.
  std::string_view resource = {};
  Position position = {};       // in ScanChanges only
  std::int64_t removed_ms = 0;  // Unix time; of a tombstone
};

// A consistent snapshot. Views it hands out are valid until the View is destroyed. Keep it short:
// an open view keeps old pages from being reused.
class BackupReader;

class View {
 public:
  View() = default;
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  virtual ~View() = default;

  using Visit = std::function<bool(const Stored&)>;  // false: stop here

  virtual Revision head() const = 0;  // of the store
  // Absent: never declared, or withdrawn and purged. A withdrawn dataset is still found here until
  // it is purged: ask the catalog whether it may be served.
  virtual common::StatusOr<std::optional<DatasetState>> Dataset(std::string_view name) const = 0;
  virtual common::StatusOr<std::optional<Stored>> Get(std::uint32_t dataset,
                                                      std::string_view key) const = 0;
  // Entries with `prefix` and key > `after` (empty: from the start), in key order.
  virtual common::Status ScanEntries(std::uint32_t dataset, std::string_view prefix,
                                     std::string_view after, const Visit& visit) const = 0;
  // The latest change of each key, tombstones included, behind `after`, in order of position; keys
  // without `prefix` are passed over.
  virtual common::Status ScanChanges(std::uint32_t dataset, std::string_view prefix, Position after,
                                     const Visit& visit) const = 0;
};

class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  virtual Epoch epoch() const = 0;
  // One outcome per batch, in order; returns after the commit is durable. A failure (disk full:
  // RESOURCE_EXHAUSTED, broken: DATA_LOSS) means that nothing was applied.
  virtual common::StatusOr<std::vector<Outcome>> Commit(const Group& group) = 0;
  virtual common::StatusOr<std::unique_ptr<View>> OpenView() const = 0;
  // As committed last; never null. Any thread.
  virtual CatalogPtr catalog() const = 0;
  // The newest sequence decided for a publisher; 0: unknown. Any thread.
  virtual common::StatusOr<std::uint64_t> LastSequence(std::string_view publisher_id) const = 0;
  // Drops tombstones older than `before_ms` (Unix) or beyond `count_max` per dataset, raising the
  // floor, data of datasets withdrawn and publishers last seen before `before_ms`; about `budget`
  // records a call. True: more is left to do. Committer thread.
  virtual common::StatusOr<bool> Compact(std::int64_t before_ms, std::uint64_t count_max,
                                         std::size_t budget) = 0;
  // Turns entries that expire at `now_ms` or before into tombstones, the oldest first, at most
  // `count_max`, in one durable commit with one revision. Committer thread.
  virtual common::StatusOr<Expired> Expire(std::int64_t now_ms, std::size_t count_max) = 0;
  // No entry expires before (Unix time); absent: none will. Early after a purge. Any thread.
  virtual std::optional<std::int64_t> next_expiry_ms() const = 0;
  virtual std::size_t bytes_used() const = 0;
  // A consistent snapshot of everything, as the bytes of a backup file. UNIMPLEMENTED: the store is
  // backed up by other means. Any thread.
  virtual common::StatusOr<std::unique_ptr<BackupReader>> OpenBackup(std::int64_t now_ms) const;
};

}  // namespace cp
