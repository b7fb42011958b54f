// Model: the store in a few maps, written apart from it, from what store.h promises.
//
// Thread: one owner.  Lifetime: one run of a test.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "control-plane/store/store.h"

namespace cp::testing {

struct ModelEntry {
  std::string value, content_type;
  std::int64_t published_ms = 0;
  std::int64_t expires_ms = 0;  // 0: never
  Position position;
};
struct ModelTombstone {
  std::string key;
  std::int64_t removed_ms = 0;
};
struct ModelDataset {
  Revision head = 0, floor = 0, created = 0;
  std::optional<std::int64_t> withdrawn_ms;
  std::map<std::string, ModelEntry> entries;
  std::map<Position, ModelTombstone> tombstones;
  // When each key has changed last, whatever has been forgotten since.
  std::map<std::string, Revision> changed;
};
struct ModelPublisher {
  std::int64_t seen_ms = 0;
  std::uint64_t last = 0;
  std::deque<std::pair<std::uint64_t, Outcome>> decided;
};

class Model {
 public:
  explicit Model(Epoch epoch) : epoch_(epoch) {}

  std::vector<Outcome> Commit(const Group& group) {
    now_ms_ = group.now_ms;
    for (const DeclarationChange& change : group.declarations) Declare(change);
    std::vector<Outcome> outcomes;
    for (const Batch& batch : group.batches) outcomes.push_back(Decide(batch));
    for (const std::string& id : group.forget_publishers) publishers.erase(id);
    return outcomes;
  }

  void Compact(std::int64_t before_ms, std::uint64_t count_max) {
    for (auto it = datasets.begin(); it != datasets.end();) {
      ModelDataset& dataset = it->second;
      if (dataset.withdrawn_ms && *dataset.withdrawn_ms < before_ms) {
        it = datasets.erase(it);
        continue;
      }
      auto& tombstones = dataset.tombstones;
      while (!tombstones.empty() && (tombstones.begin()->second.removed_ms < before_ms ||
                                     tombstones.size() > count_max)) {
        dataset.floor = tombstones.begin()->first.revision;
        tombstones.erase(tombstones.begin());
      }
      ++it;
    }
  }

  // The oldest `count_max` of those that are due become tombstones under one revision.
  std::uint64_t Expire(std::int64_t now_ms, std::size_t count_max) {
    now_ms_ = now_ms;
    // By time, then dataset in the order of declaration, then key.
    std::set<std::tuple<std::int64_t, Revision, std::string, std::string>> due;
    for (const auto& [name, dataset] : datasets) {
      for (const auto& [key, entry] : dataset.entries) {
        if (entry.expires_ms == 0 || entry.expires_ms > now_ms) continue;
        due.emplace(entry.expires_ms, dataset.created, key, name);
      }
    }
    std::uint32_t ordinal = 0;
    for (const auto& [time, created, key, name] : due) {
      if (ordinal == count_max) break;
      ModelDataset& dataset = datasets[name];
      dataset.entries.erase(key);
      dataset.tombstones[{head + 1, ordinal++}] = {key, now_ms};
      dataset.changed[key] = head + 1;
      dataset.head = head + 1;
    }
    if (ordinal > 0) ++head;
    return ordinal;
  }

  std::optional<std::int64_t> NextExpiry() const {
    std::optional<std::int64_t> next;
    for (const auto& [name, dataset] : datasets) {
      for (const auto& [key, entry] : dataset.entries) {
        if (entry.expires_ms == 0) continue;
        next = std::min(next.value_or(entry.expires_ms), entry.expires_ms);
      }
    }
    return next;
  }

  Revision head = 0;
  std::map<std::string, ModelDataset> datasets;
  std::map<std::string, ModelPublisher> publishers;

 private:
  const ModelEntry* FindLive(const std::string& name, const std::string& key) const {
    const auto dataset = datasets.find(name);
    if (dataset == datasets.end()) return nullptr;
    const auto entry = dataset->second.entries.find(key);
    if (entry == dataset->second.entries.end()) return nullptr;
    const std::int64_t expires_ms = entry->second.expires_ms;
    return expires_ms != 0 && expires_ms <= now_ms_ ? nullptr : &entry->second;
  }

  bool Holds(const Check& check) const {
    const ModelEntry* const entry = FindLive(check.dataset, check.key);
    if (entry == nullptr || !check.version) {
      return entry == nullptr && !check.version && StayedAbsent(check);
    }
    return check.version->revision == entry->position.revision;
  }

  bool StayedAbsent(const Check& check) const {
    if (!check.absent_since) return true;
    const auto dataset = datasets.find(check.dataset);
    if (dataset == datasets.end() || check.absent_since->epoch != epoch_) return false;
    const auto changed = dataset->second.changed.find(check.key);
    const Revision last = changed == dataset->second.changed.end() ? 0 : changed->second;
    return check.absent_since->revision >= std::max(last, dataset->second.floor);
  }

  void Declare(const DeclarationChange& change) {
    const auto found = datasets.find(change.name);
    if (found != datasets.end()) {
      found->second.withdrawn_ms = change.object ? std::nullopt : std::optional(now_ms_);
    } else if (change.object) {
      ModelDataset& dataset = datasets[change.name];
      dataset.head = dataset.floor = dataset.created = ++head;
    }
  }

  Outcome Decide(const Batch& batch) {
    ModelPublisher& publisher = publishers[batch.publisher_id];
    publisher.seen_ms = now_ms_;
    std::erase_if(publisher.decided,
                  [&](const auto& decided) { return decided.first <= batch.settled; });
    for (const auto& [sequence, outcome] : publisher.decided) {
      if (sequence == batch.sequence) return outcome;
    }
    if (batch.sequence <= publisher.last) return {.status = absl::OutOfRangeError("")};
    publisher.last = batch.sequence;
    const Outcome outcome = Apply(batch);
    publisher.decided.emplace_back(batch.sequence, outcome);
    publisher.decided.back().second.changed = false;
    if (publisher.decided.size() > common::kPublisherResultsKept) publisher.decided.pop_front();
    return outcome;
  }

  Outcome Apply(const Batch& batch) {
    if (!batch.refused.ok()) return {.status = batch.refused};
    for (const Write& write : batch.writes) {
      if (!datasets.contains(write.dataset)) return {.status = absl::NotFoundError("")};
    }
    for (const Check& check : batch.checks) {
      if (!Holds(check)) return {.status = absl::AbortedError("")};
    }
    Outcome outcome;
    for (std::uint32_t i = 0; i < batch.writes.size(); ++i) {
      const Write& write = batch.writes[i];
      ModelDataset& dataset = datasets[write.dataset];
      const ModelEntry* const live = FindLive(write.dataset, write.key);
      if (write.return_old && live != nullptr) outcome.old.emplace_back(i, live->value);
      const bool met = write.condition == Condition::kAlways ||
                       (write.condition == Condition::kIfPresent) == (live != nullptr);
      if (!met || (!write.value && live == nullptr)) {
        outcome.skipped.resize(std::max<std::size_t>(outcome.skipped.size(), i / 8 + 1));
        outcome.skipped[i / 8] = static_cast<char>(outcome.skipped[i / 8] | 1 << i % 8);
      } else {
        std::int64_t expires_ms = write.expiry.at_ms;
        if (write.expiry.in_ms != 0) expires_ms = now_ms_ + write.expiry.in_ms;
        if (write.expiry.keep && live != nullptr) expires_ms = live->expires_ms;
        if (!write.value) ++outcome.deleted;
        if (Make(dataset, write, {head + 1, i}, expires_ms)) {
          outcome.changed = true;
          dataset.head = head + 1;
        }
      }
      outcome.revision = std::max(outcome.revision, dataset.head);
    }
    if (outcome.changed) ++head;
    return outcome;
  }

  bool Make(ModelDataset& dataset, const Write& write, Position position,
            std::int64_t expires_ms) {
    const bool puts = write.value && (expires_ms == 0 || expires_ms > now_ms_);
    if (!puts && dataset.entries.erase(write.key) == 0) return false;
    dataset.changed[write.key] = position.revision;
    std::erase_if(dataset.tombstones,
                  [&](const auto& tombstone) { return tombstone.second.key == write.key; });
    if (puts) {
      dataset.entries[write.key] = {*write.value, write.content_type, now_ms_, expires_ms,
                                    position};
    } else {
      dataset.tombstones[position] = {write.key, now_ms_};
    }
    return true;
  }

  const Epoch epoch_;
  std::int64_t now_ms_ = 0;
};

}  // namespace cp::testing
