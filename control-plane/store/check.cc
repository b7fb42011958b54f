#include "control-plane/store/check.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/names.h"

namespace cp {
namespace {

namespace lmdb = common::lmdb;
using common::OkStatus;
using common::Status;

template <class... Args>
Status Fault(fmt::format_string<Args...> format, Args&&... args) {
  return common::Error(common::StatusCode::kDataLoss, format, std::forward<Args>(args)...);
}

// Recomputes a dataset's state from its entries, then holds its changes against them.
class DatasetCheck {
 public:
  DatasetCheck(const View& view, std::string_view name, const DatasetState& state)
      : view_(view), name_(name), state_(state) {}

  Status Run() {
    if (state_.floor > state_.head || state_.head > view_.head()) {
      return Fault("{}: floor {}, head {} and the store's head {} are out of order", name_,
                   state_.floor, state_.head, view_.head());
    }
    RETURN_IF_ERROR(Walk([this](const Stored& stored) { return OnEntry(stored); },
                         [this](const View::Visit& visit) {
                           return view_.ScanEntries(state_.id, {}, {}, visit);
                         }));
    RETURN_IF_ERROR(CheckSums());
    RETURN_IF_ERROR(Walk([this](const Stored& stored) { return OnChange(stored); },
                         [this](const View::Visit& visit) {
                           return view_.ScanChanges(state_.id, {}, {}, visit);
                         }));
    if (puts_ == versions_.size()) return OkStatus();
    return Fault("{}: {} entries but {} changes that put", name_, versions_.size(), puts_);
  }

 private:
  template <class Step, class Scan>
  static Status Walk(const Step& step, const Scan& scan) {
    Status fault;
    RETURN_IF_ERROR(scan([&](const Stored& stored) {
      fault = step(stored);
      return fault.ok();
    }));
    return fault;
  }

  std::string Shown(std::string_view key) const {
    return fmt::format("{}/{}", name_, common::PercentEncode(key));
  }

  Status OnEntry(const Stored& stored) {
    if (!versions_.empty() && versions_.rbegin()->first >= stored.key) {
      return Fault("{}: out of order", Shown(stored.key));
    }
    const common::EntryView entry = common::EntryOfResource(stored.resource);
    std::string encoded;
    common::AppendEntryResource(name_, stored.key, stored.version, entry, encoded);
    if (encoded != stored.resource) return Fault("{}: wrongly encoded", Shown(stored.key));
    bytes_ += stored.key.size() + entry.value.size();
    digest_ += common::EntryHash(stored.key, stored.version, entry.value);
    versions_.emplace_hint(versions_.end(), stored.key, stored.version);
    return OkStatus();
  }

  Status CheckSums() const {
    if (versions_.size() != state_.entries || bytes_ != state_.bytes) {
      return Fault("{}: {} entries of {} bytes, the dataset record says {} of {}", name_,
                   versions_.size(), bytes_, state_.entries, state_.bytes);
    }
    if (digest_ == state_.digest) return OkStatus();
    return Fault("{}: digest {}, the dataset record says {}", name_,
                 common::FormatDigest(digest_), common::FormatDigest(state_.digest));
  }

  Status OnChange(const Stored& stored) {
    const std::string where =
        fmt::format("change {}:{} of {}", stored.position.revision, stored.position.ordinal,
                    Shown(stored.key));
    if (stored.position <= last_) return Fault("{}: out of order", where);
    last_ = stored.position;
    if (stored.position.revision != stored.version.revision ||
        stored.position.revision > state_.head) {
      return Fault("{}: version {}, head {}", where, stored.version.revision, state_.head);
    }
    const auto entry = versions_.find(stored.key);
    if (stored.resource.empty()) {
      if (entry != versions_.end()) return Fault("{}: a tombstone of an entry", where);
      if (!removed_.insert(std::string(stored.key)).second) return Fault("{}: twice", where);
      // Of the floor's own revision some may be left: compaction goes tombstone by tombstone.
      if (stored.position.revision < state_.floor) return Fault("{}: below the floor", where);
      return OkStatus();
    }
    ++puts_;
    if (entry == versions_.end() || entry->second != stored.version) {
      return Fault("{}: not the entry's version", where);
    }
    return OkStatus();
  }

  const View& view_;
  const std::string_view name_;
  const DatasetState state_;
  std::map<std::string, common::Version, std::less<>> versions_;  // of the entries
  std::set<std::string, std::less<>> removed_;
  std::uint64_t bytes_ = 0;
  std::uint64_t puts_ = 0;
  common::Digest digest_;
  Position last_;
};

// Calls step(key, value) for every row; stops at the first fault.
template <class Step>
Status ForEachRow(const lmdb::Txn& txn, lmdb::Dbi dbi, const Step& step) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn, dbi));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    RETURN_IF_ERROR(step(cursor.key(), cursor.value()));
    RETURN_IF_ERROR(cursor.Next());
  }
  return OkStatus();
}

// Which rows belong to whom; the datasets being purged may have lost any of theirs.
class RowCheck {
 public:
  RowCheck(const lmdb::Txn& txn, const Tables& tables, const Catalog& catalog)
      : txn_(txn), tables_(tables), catalog_(catalog) {}

  Status Run() {
    ASSIGN_OR_RETURN(next_dataset_, ReadMeta32(txn_, tables_, layout::kMetaNextDataset));
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.datasets, [this](auto name, auto value) {
      return OnDataset(name, value);
    }));
    if (declared_ != catalog_.datasets.size()) {
      return Fault("{} datasets are declared, {} have a record", catalog_.datasets.size(),
                   declared_);
    }
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.purging, [this](auto key, auto) {
      return OnId(lmdb::ReadBigEndian32(key), "a dataset being purged");
    }));
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.changes, [this](auto key, auto) {
      return OnRow(key);
    }));
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.entries, [this](auto key, auto value) {
      return OnEntry(key, value);
    }));
    RETURN_IF_ERROR(CheckExpiries());
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.tombstones, [this](auto key, auto value) {
      return OnTombstone(key, value);
    }));
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.removals, [this](auto key, auto) {
      ++removals_[lmdb::ReadBigEndian32(key)];
      return OnRow(key);
    }));
    RETURN_IF_ERROR(CheckTombstones());
    return ForEachRow(txn_, tables_.publishers, [](auto id, auto value) {
      return OnPublisher(id, value);
    });
  }

 private:
  Status OnId(std::uint32_t id, std::string_view what) {
    if (id >= next_dataset_ || !ids_.insert(id).second) return Fault("id {} of {}", id, what);
    return OkStatus();
  }

  Status OnDataset(std::string_view name, std::string_view value) {
    ASSIGN_OR_RETURN(const layout::DatasetRecord record, layout::DecodeDataset(value));
    const bool declared = catalog_.FindDataset(name) != nullptr;
    if (declared != (record.withdrawn_ms == 0)) return Fault("{}: declared or withdrawn?", name);
    declared_ += declared ? 1 : 0;
    tombstones_[record.state.id] = record.tombstones;
    return OnId(record.state.id, name);
  }

  Status OnRow(std::string_view key) const {
    if (ids_.contains(lmdb::ReadBigEndian32(key))) return OkStatus();
    return Fault("a row belongs to no dataset: id {}", lmdb::ReadBigEndian32(key));
  }

  Status OnEntry(std::string_view key, std::string_view value) {
    RETURN_IF_ERROR(OnRow(key));
    ASSIGN_OR_RETURN(const layout::EntryRecord record, layout::DecodeEntry(value));
    const common::EntryView entry = common::EntryOfResource(record.resource);
    if (entry.expires_at_ms == 0) return OkStatus();
    if (!tombstones_.contains(lmdb::ReadBigEndian32(key))) return OkStatus();  // being purged
    ++expiring_;
    std::string row_key;
    layout::ExpiryKey(entry.expires_at_ms, key, row_key);
    ASSIGN_OR_RETURN(const auto row, txn_.Get(tables_.expiries, row_key));
    if (row) return OkStatus();
    return Fault("dataset {}: an entry that expires is not in the expiry index",
                 lmdb::ReadBigEndian32(key));
  }

  Status CheckExpiries() const {
    std::size_t rows = 0;  // of datasets that are not being purged
    RETURN_IF_ERROR(ForEachRow(txn_, tables_.expiries, [&](auto key, auto) {
      rows += tombstones_.count(lmdb::ReadBigEndian32(layout::EntryKeyOfExpiryKey(key)));
      return OkStatus();
    }));
    if (rows == expiring_) return OkStatus();
    return Fault("{} entries expire, the expiry index has {}", expiring_, rows);
  }

  Status OnTombstone(std::string_view key, std::string_view value) const {
    RETURN_IF_ERROR(OnRow(key));
    const std::uint32_t id = lmdb::ReadBigEndian32(key);
    if (!tombstones_.contains(id)) return OkStatus();
    ASSIGN_OR_RETURN(const Position position, layout::DecodePosition(value));
    std::string row_key;
    layout::PositionKey(id, position, row_key);
    ASSIGN_OR_RETURN(const auto row, txn_.Get(tables_.removals, row_key));
    if (!row) return Fault("dataset {}: a tombstone without its removal", id);
    ASSIGN_OR_RETURN(const layout::RemovalRecord removal, layout::DecodeRemoval(*row));
    if (removal.key == layout::KeyOfEntryKey(key)) return OkStatus();
    return Fault("dataset {}: a tombstone with another key's removal", id);
  }

  Status CheckTombstones() const {
    ASSIGN_OR_RETURN(const std::size_t rows, txn_.Count(tables_.tombstones));
    ASSIGN_OR_RETURN(const std::size_t removal_rows, txn_.Count(tables_.removals));
    const bool is_purging = ids_.size() != tombstones_.size();
    if (rows != removal_rows && !is_purging) {
      return Fault("{} tombstones, {} removals", rows, removal_rows);
    }
    for (const auto& [id, count] : tombstones_) {
      const auto found = removals_.find(id);
      const std::uint64_t removals = found == removals_.end() ? 0 : found->second;
      if (removals != count) {
        return Fault("dataset {}: {} removals, its record says {}", id, removals, count);
      }
    }
    return OkStatus();
  }

  static Status OnPublisher(std::string_view id, std::string_view value) {
    ASSIGN_OR_RETURN(const layout::PublisherRecord record, layout::DecodePublisher(value));
    std::uint64_t last = 0;
    for (const auto& decided : record.decided) {
      if (decided.sequence <= last) return Fault("publisher {}: sequences out of order", id);
      last = decided.sequence;
    }
    const bool settled = record.decided.empty();  // the publisher knows all of its outcomes
    if (settled || last == record.last_sequence) return OkStatus();
    return Fault("publisher {}: last sequence {}, outcome {}", id, record.last_sequence, last);
  }

  const lmdb::Txn& txn_;
  const Tables& tables_;
  const Catalog& catalog_;
  std::uint32_t next_dataset_ = 0;
  std::size_t declared_ = 0;
  std::size_t expiring_ = 0;  // entries
  std::set<std::uint32_t> ids_;                         // of datasets, also those being purged
  std::map<std::uint32_t, std::uint64_t> tombstones_;   // by id, as the records say
  std::map<std::uint32_t, std::uint64_t> removals_;     // by id, counted
};

common::StatusOr<std::vector<std::string>> DatasetNames(const LmdbStore& store) {
  std::vector<std::string> names;
  ASSIGN_OR_RETURN(const lmdb::ReadTxn txn, store.env().BeginRead());
  RETURN_IF_ERROR(ForEachRow(txn, store.tables().datasets, [&](auto name, auto) {
    names.emplace_back(name);
    return OkStatus();
  }));
  return names;
}

}  // namespace

Status CheckDataset(const View& view, std::string_view name) {
  ASSIGN_OR_RETURN(const auto state, view.Dataset(name));
  if (!state) return Fault("{}: no such dataset", name);
  return DatasetCheck(view, name, *state).Run();
}

Status CheckStore(const Store& store) {
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.OpenView());
  for (const auto& [name, declared] : store.catalog()->datasets) {
    RETURN_IF_ERROR(CheckDataset(*view, name));
  }
  return OkStatus();
}

Status CheckLmdbStore(const LmdbStore& store) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, DatasetNames(store));
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.OpenView());
  for (const std::string& name : names) RETURN_IF_ERROR(CheckDataset(*view, name));
  ASSIGN_OR_RETURN(const lmdb::ReadTxn txn, store.env().BeginRead());
  return RowCheck(txn, store.tables(), *store.catalog()).Run();
}

}  // namespace cp
