// The store against a model of it that keeps everything in maps, under random operations.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "common/limits.h"
#include "control-plane/store/check.h"
#include "control-plane/store/store_model.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

using testing::Model;
using testing::ModelDataset;
using testing::ModelEntry;
using Random = std::mt19937_64;

std::uint64_t Below(Random& random, std::uint64_t bound) { return random() % bound; }

// One run: the same operations on both, comparing as it goes.
class ModelRun {
 public:
  explicit ModelRun(std::uint64_t seed) : random_(seed) {}

  void Step() {
    switch (Below(random_, 16)) {
      case 0:
        Reopen();
        break;
      case 1:
      case 2:
        Compact();
        break;
      case 3:
        Compare();
        break;
      case 4:
      case 5:
        Expire();
        break;
      default:
        Commit();
    }
    now_ms_ += static_cast<std::int64_t>(Below(random_, 100));
  }

  void Compare() {
    ASSERT_TRUE(CheckLmdbStore(*store_).ok()) << CheckLmdbStore(*store_);
    auto opened = store_->OpenView();
    ASSERT_TRUE(opened.ok());
    const View& view = **opened;
    EXPECT_EQ(view.head(), model_.head);
    // Too early is allowed: rows of purged datasets may have gone, or be going.
    const std::optional<std::int64_t> next = model_.NextExpiry();
    if (next) {
      EXPECT_LE(store_->next_expiry_ms().value_or(INT64_MAX), *next);
    }
    for (const std::string& name : kDatasets) CompareDataset(view, name);
    for (const std::string& id : kPublishers) {
      const auto found = model_.publishers.find(id);
      const std::uint64_t last = found == model_.publishers.end() ? 0 : found->second.last;
      EXPECT_EQ(*store_->LastSequence(id), last) << id;
    }
  }

 private:
  inline static const std::vector<std::string> kDatasets = {"a", "b.c", "z"};
  inline static const std::vector<std::string> kPublishers = {"p1", "p2", "p3"};

  std::string Key() {
    std::string key(Below(random_, 3), static_cast<char>(Below(random_, 3) * 127));
    return key + static_cast<char>('a' + Below(random_, 8));
  }
  const std::string& Name() { return kDatasets[Below(random_, kDatasets.size())]; }

  Batch RandomBatch() {
    Batch batch = testing::MakeBatch(kPublishers[Below(random_, kPublishers.size())], 0, {});
    std::uint64_t& drafted = drafted_[batch.publisher_id];
    const std::uint64_t last = model_.publishers[batch.publisher_id].last + drafted;
    const bool is_retry = last > 0 && Below(random_, 5) == 0;
    batch.sequence = is_retry ? 1 + Below(random_, last) : last + 1 + Below(random_, 20) / 19;
    if (!is_retry) drafted += batch.sequence - last;
    if (Below(random_, 4) == 0) batch.settled = Below(random_, last + 1);
    for (std::uint64_t count = Below(random_, 8); count > 0; --count) {
      const bool is_put = Below(random_, 3) != 0;
      batch.writes.push_back(is_put ? testing::Put(Name(), Key(), Value())
                                    : testing::Del(Name(), Key()));
      if (is_put && Below(random_, 4) == 0) batch.writes.back().content_type = "text/plain";
      if (is_put) AddOptions(batch.writes.back());
    }
    if (Below(random_, 5) == 0) AddChecks(batch);
    if (Below(random_, 12) == 0) batch.refused = absl::PermissionDeniedError("refused");
    return batch;
  }

  void AddOptions(Write& write) {
    const auto ms = static_cast<std::int64_t>(1 + Below(random_, 300));
    switch (Below(random_, 8)) {
      case 0:
        write.expiry.in_ms = ms;
        break;
      case 1:
        write.expiry.at_ms = now_ms_ - 50 + ms;  // in the past now and then
        break;
      case 2:
        write.expiry.keep = true;
        break;
      case 3:
        write.condition = Condition::kIfAbsent;
        break;
      case 4:
        write.condition = Condition::kIfPresent;
        write.expiry.in_ms = ms;
        break;
      default:
        break;
    }
    write.return_old = Below(random_, 6) == 0;
  }

  // As things stand before the group, mostly.
  void AddChecks(Batch& batch) {
    for (std::uint64_t count = 1 + Below(random_, 2); count > 0; --count) {
      Check check{.dataset = Name(), .key = Key()};
      const auto dataset = model_.datasets.find(check.dataset);
      if (dataset != model_.datasets.end()) {
        const auto entry = dataset->second.entries.find(check.key);
        if (entry != dataset->second.entries.end()) {
          const Revision odd = Below(random_, 6) == 0 ? 1 : 0;
          check.version = common::Version{epoch_, entry->second.position.revision + odd};
        }
      }
      if (!check.version && Below(random_, 4) != 0) {
        const Epoch epoch = Below(random_, 20) == 0 ? epoch_ + 1 : epoch_;
        check.absent_since =
            common::Version{epoch, model_.head - Below(random_, model_.head / 4 + 1)};
      }
      batch.checks.push_back(std::move(check));
    }
  }

  void Expire() {
    const std::size_t count_max = 1 + Below(random_, 6);
    const auto got = store_->Expire(now_ms_, count_max);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->entries, model_.Expire(now_ms_, count_max));
    EXPECT_EQ(got->datasets.empty(), got->entries == 0);
  }

  std::string Value() {
    const std::size_t size = Below(random_, 10) == 0 ? 5000 : Below(random_, 30);
    return std::string(size, static_cast<char>(random_()));
  }

  void Commit() {
    Group group;
    group.now_ms = now_ms_;
    drafted_.clear();
    while (Below(random_, 6) == 0) {
      const std::string& name = Name();
      group.declarations.push_back(Below(random_, 3) == 0 ? testing::WithdrawDataset(name)
                                                          : testing::DeclareDataset(name, "o"));
    }
    for (std::uint64_t count = Below(random_, 5); count > 0; --count) {
      group.batches.push_back(RandomBatch());
    }
    if (Below(random_, 30) == 0) group.forget_publishers.push_back(kPublishers[0]);
    const auto got = store_->Commit(group);
    ASSERT_TRUE(got.ok()) << got.status();
    CompareOutcomes(*got, model_.Commit(group));
  }

  static void CompareOutcomes(const std::vector<Outcome>& got, const std::vector<Outcome>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].status.code(), want[i].status.code()) << i << " " << got[i].status;
      EXPECT_EQ(got[i].revision, want[i].revision) << i;
      EXPECT_EQ(got[i].deleted, want[i].deleted) << i;
      EXPECT_EQ(got[i].changed, want[i].changed) << i;
      EXPECT_EQ(got[i].skipped, want[i].skipped) << i;
      EXPECT_EQ(got[i].old, want[i].old) << i;
    }
  }

  void Reopen() {
    store_.reset();
    store_ = testing::OpenStore(dir_.path());
    EXPECT_EQ(store_->epoch(), epoch_);
    std::set<std::string> declared;
    for (const auto& [name, dataset] : model_.datasets) {
      if (!dataset.withdrawn_ms) declared.insert(name);
    }
    std::set<std::string> found;
    for (const auto& [name, dataset] : store_->catalog()->datasets) found.insert(name);
    EXPECT_EQ(found, declared);
  }

  void Compact() {
    const std::int64_t before_ms = now_ms_ - static_cast<std::int64_t>(Below(random_, 3000));
    const std::uint64_t count_max = Below(random_, 12);
    const std::size_t budget = 1 + Below(random_, 40);
    model_.Compact(before_ms, count_max);
    for (bool more = true; more;) {
      const auto step = store_->Compact(before_ms, count_max, budget);
      ASSERT_TRUE(step.ok()) << step.status();
      more = *step;
    }
    // Publishers are dropped in a walk of its own; none too early.
    std::erase_if(model_.publishers, [&](const auto& publisher) {
      const bool may_go = publisher.second.seen_ms < before_ms;
      return may_go && *store_->LastSequence(publisher.first) == 0;
    });
  }

  void CompareDataset(const View& view, const std::string& name) {
    SCOPED_TRACE(name);
    const auto state = view.Dataset(name);
    ASSERT_TRUE(state.ok());
    const auto found = model_.datasets.find(name);
    ASSERT_EQ(state->has_value(), found != model_.datasets.end());
    if (!state->has_value()) return;
    const ModelDataset& want = found->second;
    EXPECT_EQ((*state)->head, want.head);
    EXPECT_EQ((*state)->floor, want.floor);
    EXPECT_EQ((*state)->entries, want.entries.size());
    CompareEntries(view, (*state)->id, want);
    CompareChanges(view, (*state)->id, want);
    const std::string key = Key();
    const auto got = view.Get((*state)->id, key);
    ASSERT_TRUE(got.ok());
    ASSERT_EQ(got->has_value(), want.entries.contains(key));
    if (got->has_value()) ExpectEntry(**got, want.entries.at(key));
  }

  void ExpectEntry(const Stored& got, const ModelEntry& want) const {
    EXPECT_EQ(got.version, (common::Version{epoch_, want.position.revision}));
    const common::EntryView entry = common::EntryOfResource(got.resource);
    EXPECT_EQ(entry.value, want.value);
    EXPECT_EQ(entry.content_type, want.content_type);
    EXPECT_EQ(entry.published_at_ms, want.published_ms);
    EXPECT_EQ(entry.expires_at_ms, want.expires_ms);
  }

  void CompareEntries(const View& view, std::uint32_t id, const ModelDataset& want) {
    const std::string prefix = Below(random_, 2) == 0 ? "" : Key().substr(0, 1);
    const std::string after = Below(random_, 2) == 0 ? "" : Key();
    std::vector<std::string> keys;
    for (const auto& [key, entry] : want.entries) {
      if (key.starts_with(prefix) && key > after) keys.push_back(key);
    }
    std::vector<std::string> got;
    const std::size_t stop = Below(random_, 40);
    EXPECT_TRUE(view.ScanEntries(id, prefix, after, [&](const Stored& stored) {
      got.emplace_back(stored.key);
      ExpectEntry(stored, want.entries.at(got.back()));
      return got.size() != stop;
    }).ok());
    if (stop > 0 && keys.size() > stop) keys.resize(stop);
    EXPECT_EQ(got, keys);
  }

  // Goal: behind any position come exactly the latest changes of the keys, in order.
  void CompareChanges(const View& view, std::uint32_t id, const ModelDataset& want) {
    const std::string prefix = Below(random_, 2) == 0 ? "" : Key().substr(0, 1);
    const auto ordinal = static_cast<std::uint32_t>(Below(random_, 4));
    const Position after{Below(random_, model_.head + 2), ordinal == 3 ? UINT32_MAX : ordinal};
    std::map<Position, std::pair<std::string, bool>> changes;
    for (const auto& [key, entry] : want.entries) changes[entry.position] = {key, true};
    for (const auto& [position, gone] : want.tombstones) changes[position] = {gone.key, false};
    std::erase_if(changes, [&](const auto& change) {
      return change.first <= after || !change.second.first.starts_with(prefix);
    });
    std::map<Position, std::pair<std::string, bool>> got;
    Position last;
    EXPECT_TRUE(view.ScanChanges(id, prefix, after, [&](const Stored& stored) {
      EXPECT_GT(stored.position, last);
      last = stored.position;
      EXPECT_EQ(stored.version, (common::Version{epoch_, stored.position.revision}));
      got[stored.position] = {std::string(stored.key), !stored.resource.empty()};
      if (!stored.resource.empty()) ExpectEntry(stored, want.entries.at(std::string(stored.key)));
      return true;
    }).ok());
    EXPECT_EQ(got, changes);
  }

  testing::TestDir dir_;
  Random random_;
  std::unique_ptr<LmdbStore> store_ = testing::OpenStore(dir_.path());
  const Epoch epoch_ = store_->epoch();
  Model model_{epoch_};
  std::map<std::string, std::uint64_t> drafted_;  // sequences given out within the group
  std::int64_t now_ms_ = 1'700'000'000'000;
};

TEST(StoreModelTest, EqualsTheModel) {
  const std::uint64_t seed = testing::Seed();
  for (std::uint64_t run = 0; run < 20; ++run) {
    SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed + run));
    ModelRun pair(seed + run);
    for (int step = 0; step < 200 && !::testing::Test::HasFailure(); ++step) pair.Step();
    pair.Compare();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace cp
