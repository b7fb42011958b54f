// Store: the control plane's durable state – entries, change index, tombstones, publishers'
// outcomes, declarations, epoch.
//
// Thread: Commit from the committer only; OpenView from any thread (a View stays on the thread that
// opened it).  Lifetime: outlives its views.
// Interface of LmdbStore (embedded) and, later, EtcdStore; tests wrap it to inject faults.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/entry.h"
#include "common/status.h"
#include "common/version.h"
#include "control-plane/store/catalog.h"

namespace cp {

using common::Epoch;
using common::Revision;

// --- writing ----------------------------------------------------------------------------------

struct Write {
  std::string dataset;
  std::string key;
  std::optional<std::string> value = {};  // absent: delete
  std::string content_type = {};
};

struct Batch {
  std::string publisher_id = {};
  std::uint64_t sequence = 0;
  std::vector<Write> writes = {};
  // Set by whoever validated the batch: a refused batch applies nothing, but its outcome is
  // remembered like any other, so that a retry gets the same answer.
  common::Status refused = {};
};

// What became of a batch. A retry of a (publisher, sequence) that was decided before gets the first
// outcome again.
struct Outcome {
  common::Status status;      // OK: applied and durable
  // Of the commit, when applied. A batch that changes nothing (deletes of absent keys) gets the
  // greatest head of the datasets it names, so that waiting for it ends at once.
  Revision revision = 0;
  std::uint64_t deleted = 0;  // deletes that found an entry
  bool changed = false;       // entries changed in this very commit: no retry, no refusal
};

// One durable commit: everything in it or nothing. Declarations come first, then the batches in
// order, each with a revision of its own.
struct Group {
  std::vector<Batch> batches;
  std::vector<DeclarationChange> declarations;
  std::vector<std::string> forget_publishers;
  std::int64_t now_ms = 0;  // Unix time: published_at, ages of tombstones and publishers
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
};

struct Stored {
  std::string_view key;
  common::Version version;
  // An encoded `resources` field (common/entry.h); empty: tombstone.
  std::string_view resource = {};
  Position position = {};  // in ScanChanges only
};

// A consistent snapshot. Views it hands out are valid until the View is destroyed. Keep it short:
// an open view keeps old pages from being reused.
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
  virtual std::size_t bytes_used() const = 0;
};

}  // namespace cp
