// MemoryStore: the Store in a few std::maps, for tests and the simulation.
//
// Thread: one owner.  Lifetime: outlives its views.
// A view looks at the live data, not at a copy: a commit while one is open is a fault of the test
// and aborts. Outcomes are remembered without limit.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/entry.h"
#include "control-plane/store/store.h"

namespace cp {

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Epoch epoch = 0xE0) : epoch_(epoch) {}

  Epoch epoch() const override { return epoch_; }
  CatalogPtr catalog() const override { return catalog_; }
  std::size_t bytes_used() const override { return 0; }

  common::StatusOr<std::vector<Outcome>> Commit(const Group& group) override {
    CHECK(views_open_ == 0);
    Declare(group.declarations);
    std::vector<Outcome> outcomes;
    for (const Batch& batch : group.batches) outcomes.push_back(Apply(batch, group.now_ms));
    for (const std::string& id : group.forget_publishers) decided_.erase(id);
    return outcomes;
  }

  // Entries do not expire here: LmdbStore's tests see to that.
  common::StatusOr<Expired> Expire(std::int64_t, std::size_t) override { return Expired{}; }
  std::optional<std::int64_t> next_expiry_ms() const override { return std::nullopt; }

  common::StatusOr<std::unique_ptr<View>> OpenView() const override {
    return std::make_unique<MemoryView>(*this);
  }

  common::StatusOr<std::uint64_t> LastSequence(std::string_view publisher_id) const override {
    const auto it = decided_.find(publisher_id);
    return it == decided_.end() || it->second.empty() ? 0 : it->second.rbegin()->first;
  }

  // Drops tombstones older than `before_ms`, and beyond `count_max` the oldest, all at once.
  common::StatusOr<bool> Compact(std::int64_t before_ms, std::uint64_t count_max,
                                 std::size_t) override {
    CHECK(views_open_ == 0);
    for (auto& [name, data] : datasets_) {
      auto tombstones = std::ranges::count_if(
          data.records, [](const auto& item) { return item.second.resource.empty(); });
      for (auto it = data.changes.begin(); it != data.changes.end();) {
        const auto record = data.records.find(it->second);
        const bool tombstone = record->second.resource.empty();
        const bool drop = tombstone && (record->second.written_ms < before_ms ||
                                        static_cast<std::uint64_t>(tombstones) > count_max);
        if (!drop) {
          ++it;
          continue;
        }
        --tombstones;
        data.state.floor = std::max(data.state.floor, it->first.revision);
        data.records.erase(record);
        it = data.changes.erase(it);
      }
    }
    return false;
  }

 private:
  struct Record {
    Position position;
    std::string resource;  // empty: tombstone
    std::int64_t written_ms = 0;
  };
  struct Data {
    DatasetState state;
    std::map<std::string, Record, std::less<>> records;
    std::map<Position, std::string> changes;  // the latest of each key
  };

  class MemoryView final : public View {
   public:
    explicit MemoryView(const MemoryStore& store) : store_(store) { ++store_.views_open_; }
    ~MemoryView() override { --store_.views_open_; }

    Revision head() const override { return store_.head_; }

    common::StatusOr<std::optional<DatasetState>> Dataset(std::string_view name) const override {
      const auto it = store_.datasets_.find(name);
      if (it == store_.datasets_.end()) return std::optional<DatasetState>();
      return std::optional<DatasetState>(it->second.state);
    }

    common::StatusOr<std::optional<Stored>> Get(std::uint32_t dataset,
                                                std::string_view key) const override {
      const Data& data = store_.Of(dataset);
      const auto it = data.records.find(key);
      if (it == data.records.end() || it->second.resource.empty()) return std::optional<Stored>();
      return std::optional<Stored>(store_.ToStored(it->first, it->second));
    }

    common::Status ScanEntries(std::uint32_t dataset, std::string_view prefix,
                               std::string_view after, const Visit& visit) const override {
      const Data& data = store_.Of(dataset);
      auto it = after.empty() || after < prefix ? data.records.lower_bound(prefix)
                                                : data.records.upper_bound(after);
      for (; it != data.records.end() && it->first.starts_with(prefix); ++it) {
        if (it->second.resource.empty()) continue;
        if (!visit(store_.ToStored(it->first, it->second))) break;
      }
      return common::OkStatus();
    }

    common::Status ScanChanges(std::uint32_t dataset, std::string_view prefix, Position after,
                               const Visit& visit) const override {
      const Data& data = store_.Of(dataset);
      for (auto it = data.changes.upper_bound(after); it != data.changes.end(); ++it) {
        if (!it->second.starts_with(prefix)) continue;
        const auto record = data.records.find(it->second);
        if (!visit(store_.ToStored(record->first, record->second))) break;
      }
      return common::OkStatus();
    }

   private:
    const MemoryStore& store_;
  };

  const Data& Of(std::uint32_t id) const {
    const auto it = std::ranges::find_if(
        datasets_, [id](const auto& item) { return item.second.state.id == id; });
    CHECK(it != datasets_.end());
    return it->second;
  }

  Stored ToStored(std::string_view key, const Record& record) const {
    return {.key = key,
            .version = {.epoch = epoch_, .revision = record.position.revision},
            .resource = record.resource,
            .position = record.position,
            .removed_ms = record.resource.empty() ? record.written_ms : 0};
  }

  void Declare(const std::vector<DeclarationChange>& changes) {
    if (changes.empty()) return;
    auto catalog = std::make_shared<Catalog>(*catalog_);
    for (const DeclarationChange& change : changes) {
      catalog->Apply(change);
      const bool creates =
          change.kind == "Dataset" && change.object && !datasets_.contains(change.name);
      if (!creates) continue;
      DatasetState& state = datasets_[change.name].state;
      state.id = ++last_dataset_;
      state.head = state.floor = ++head_;
    }
    catalog_ = std::move(catalog);
  }

  Outcome Apply(const Batch& batch, std::int64_t now_ms) {
    std::map<std::uint64_t, Outcome>& decided = decided_[batch.publisher_id];
    if (batch.sequence > 0 && decided.contains(batch.sequence)) return decided[batch.sequence];
    Outcome outcome = Decide(batch, now_ms);
    if (batch.sequence > 0) {
      decided[batch.sequence] = outcome;
      decided[batch.sequence].changed = false;
    }
    return outcome;
  }

  Outcome Decide(const Batch& batch, std::int64_t now_ms) {
    Outcome outcome;
    outcome.status = batch.refused;
    for (const Write& write : batch.writes) {
      if (datasets_.contains(write.dataset)) continue;
      outcome.status =
          common::Error(common::StatusCode::kNotFound, "dataset {} is not declared", write.dataset);
    }
    if (!outcome.status.ok()) return outcome;
    Position position{.revision = head_ + 1, .ordinal = 0};
    for (const Write& write : batch.writes) {
      Data& data = datasets_.find(write.dataset)->second;
      if (ApplyWrite(data, write, position, now_ms)) {
        outcome.changed = true;
        outcome.deleted += write.value ? 0u : 1u;
        data.state.head = position.revision;
      }
      outcome.revision = std::max(outcome.revision, data.state.head);
      ++position.ordinal;
    }
    if (outcome.changed) head_ = position.revision;
    return outcome;
  }

  bool ApplyWrite(Data& data, const Write& write, Position position, std::int64_t now_ms) {
    const auto old = data.records.find(write.key);
    const bool existed = old != data.records.end() && !old->second.resource.empty();
    if (!write.value && !existed) return false;
    if (old != data.records.end()) data.changes.erase(old->second.position);
    if (existed) Account(data.state, write.key, old->second, -1);
    Record record{.position = position, .resource = {}, .written_ms = now_ms};
    if (write.value) {
      common::AppendEntryResource(
          write.dataset, write.key, {.epoch = epoch_, .revision = position.revision},
          {.value = *write.value, .published_at_ms = now_ms, .content_type = write.content_type},
          record.resource);
      Account(data.state, write.key, record, +1);
    }
    data.changes[position] = write.key;
    data.records.insert_or_assign(write.key, std::move(record));
    return true;
  }

  void Account(DatasetState& state, std::string_view key, const Record& record, int sign) const {
    const std::string_view value = common::EntryOfResource(record.resource).value;
    const common::Digest hash =
        common::EntryHash(key, {.epoch = epoch_, .revision = record.position.revision}, value);
    if (sign > 0) {
      state.digest += hash;
      state.entries += 1;
      state.bytes += key.size() + value.size();
    } else {
      state.digest -= hash;
      state.entries -= 1;
      state.bytes -= key.size() + value.size();
    }
  }

  const Epoch epoch_;
  Revision head_ = 0;
  std::uint32_t last_dataset_ = 0;
  CatalogPtr catalog_ = std::make_shared<const Catalog>();
  std::map<std::string, Data, std::less<>> datasets_;
  std::map<std::string, std::map<std::uint64_t, Outcome>, std::less<>> decided_;
  mutable int views_open_ = 0;
};

}  // namespace cp
