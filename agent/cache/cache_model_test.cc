// Goal: whatever is done in whatever order, and reopened in between, the cache holds what a map
// would hold, and readers in other threads see whole cuts only, never an older one than before.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>

#include "agent/cache/cache_fixture.h"
#include "common/thread.h"

namespace agent {
namespace {

using common::Collection;
using common::OkStatus;
using common::Revision;

constexpr int kStamps = 4;  // keys of a copy that each cut sets to its revision

struct Cell {
  Revision revision = 0;
  std::string value;
  friend bool operator==(const Cell&, const Cell&) = default;
};
using Cells = std::map<std::string, Cell>;

struct ModelCopy {
  Denial denial = Denial::kNone;
  std::optional<Cells> ready;
  Revision cursor = 0;
  std::optional<Cells> loading;
  std::vector<std::pair<std::string, std::optional<Cell>>> staged;
};

std::string StampKey(const Collection& collection, int i) {
  return fmt::format("{}~stamp{}", collection.prefix, i);
}

// Reads one snapshot after the other until told to stop; CHECKs what must hold in each.
class Watcher {
 public:
  Watcher(std::unique_ptr<Reader> reader, const std::atomic<bool>& stop)
      : reader_(std::move(reader)), thread_("watcher", [this, &stop] {
          while (!stop) Look();
        }) {}
  std::uint64_t cuts_seen() {
    thread_.Join();
    return cuts_seen_;
  }

 private:
  void Look() {
    CHECK(reader_->Refresh().ok());
    for (const CopyState& state : reader_->Copies()) LookAt(state);
    reader_->Release();
  }
  void LookAt(const CopyState& state) {
    const Collection& collection = state.collection;
    const std::string first = StampKey(collection, 0);
    const Coverage coverage = reader_->CoverageOf(collection.dataset, first);
    CHECK(coverage != Coverage::kFaulted && coverage != Coverage::kNotSubscribed);
    CHECK((coverage == Coverage::kReadable) == state.complete);
    if (!state.complete) return;
    for (int i = 0; i < kStamps; ++i) {
      const auto found = reader_->Get(collection.dataset, StampKey(collection, i));
      CHECK(found.ok() && found->has_value());
      CHECK((*found)->version == state.cursor);
      CHECK((*found)->entry.value == std::to_string(state.cursor.revision));
    }
    std::uint64_t entries = 0;
    common::Digest digest;
    CHECK(reader_
              ->Scan(collection.dataset, collection.prefix, "",
                     [&](std::string_view key, const Found& found) {
                       ++entries;
                       digest += common::EntryHash(key, found.version, found.entry.value);
                       return true;
                     })
              .ok());
    CHECK(entries == state.entries && digest == state.digest);
    Revision& last = last_[collection];
    CHECK(state.cursor.revision >= last);
    if (state.cursor.revision > last) ++cuts_seen_;
    last = state.cursor.revision;
  }

  std::unique_ptr<Reader> reader_;
  std::map<Collection, Revision> last_;
  std::uint64_t cuts_seen_ = 0;
  common::Thread thread_;
};

class CacheModelTest : public CacheFixture {
 protected:
  const Collection& RandomCollection() {
    static const Collection kAll[] = {{.dataset = "orders.shop", .prefix = ""},
                                      {.dataset = "prices", .prefix = "eu-"},
                                      {.dataset = "prices", .prefix = "us-"},
                                      {.dataset = "stock", .prefix = "x"}};
    return kAll[random_() % std::size(kAll)];
  }
  bool Chance(unsigned percent) { return random_() % 100 < percent; }

  using Owned = std::vector<std::pair<std::string, std::optional<Cell>>>;
  Owned RandomChanges(const Collection& collection, bool stamps) {
    Owned changes;
    const std::uint64_t count = random_() % 20;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string key = fmt::format("{}{:03}", collection.prefix, random_() % 100);
      std::optional<Cell> cell;
      if (Chance(70)) {
        const std::size_t size = Chance(5) ? random_() % 20'000 : random_() % 200;
        cell = Cell{.revision = ++revision_,
                    .value = std::string(size, static_cast<char>('a' + random_() % 26))};
      }
      changes.emplace_back(std::move(key), std::move(cell));
    }
    if (!stamps) return changes;
    ++revision_;
    for (int i = 0; i < kStamps; ++i) {
      changes.emplace_back(StampKey(collection, i),
                           Cell{.revision = revision_, .value = std::to_string(revision_)});
    }
    return changes;
  }
  static Changes ToChanges(const Owned& owned) {
    Changes changes;
    for (const auto& [key, cell] : owned) {
      if (cell) {
        changes.Put(key, At(cell->revision), cell->value);
      } else {
        changes.Remove(key, At(1));
      }
    }
    return changes;
  }
  static void ApplyTo(Cells& cells, const Owned& owned) {
    for (const auto& [key, cell] : owned) {
      if (cell) {
        cells[key] = *cell;
      } else {
        cells.erase(key);
      }
    }
  }

  void Step() {
    const Collection& collection = RandomCollection();
    const auto found = model_.find(collection);
    if (found == model_.end()) {
      ASSERT_EQ(writer_->Add(collection), OkStatus());
      model_.emplace(collection, ModelCopy());
      return;
    }
    ModelCopy& copy = found->second;
    const std::uint64_t dice = random_() % 100;
    if (dice < 2) {
      ASSERT_EQ(writer_->Remove(collection), OkStatus());
      model_.erase(found);
    } else if (dice < 5) {
      const Denial denial = static_cast<Denial>(random_() % 3);
      ASSERT_EQ(writer_->Deny(collection, denial), OkStatus());
      copy = {.denial = denial, .ready = {}, .cursor = 0, .loading = {}, .staged = {}};
    } else if (dice < 15 || (!copy.ready && !copy.loading)) {
      ASSERT_EQ(writer_->BeginLoad(collection, At(revision_)), OkStatus());
      copy.denial = Denial::kNone;
      copy.loading.emplace();
      copy.staged.clear();
    } else if (dice < 35 && copy.loading) {
      const Owned owned = RandomChanges(collection, false);
      ASSERT_EQ(writer_->Load(collection, ToChanges(owned).Views()), OkStatus());
      ApplyTo(*copy.loading, owned);
    } else if (dice < 50) {
      const Owned owned = RandomChanges(collection, false);
      ASSERT_EQ(writer_->Stage(collection, ToChanges(owned).Views()), OkStatus());
      copy.staged.insert(copy.staged.end(), owned.begin(), owned.end());
    } else if (dice < 53) {
      ASSERT_EQ(writer_->DropStaged(collection), OkStatus());
      copy.staged.clear();
    } else {
      StepApply(collection, copy);
    }
  }
  void StepApply(const Collection& collection, ModelCopy& copy) {
    const Owned owned = RandomChanges(collection, true);
    ASSERT_EQ(writer_->Apply(collection, ToChanges(owned).Views(), At(revision_)), OkStatus());
    Cells cells = copy.loading ? *copy.loading : *copy.ready;
    ApplyTo(cells, copy.staged);
    ApplyTo(cells, owned);
    copy = {.denial = Denial::kNone,
            .ready = std::move(cells),
            .cursor = revision_,
            .loading = {},
            .staged = {}};
  }

  void Compare() {
    const std::vector<CopyState> states = writer_->Copies();
    ASSERT_EQ(states.size(), model_.size());
    ASSERT_EQ(reader_->Refresh(), OkStatus());
    std::size_t i = 0;
    for (const auto& [collection, copy] : model_) CompareCopy(collection, copy, states[i++]);
    reader_->Release();
  }
  void CompareCopy(const Collection& collection, const ModelCopy& copy, const CopyState& state) {
    SCOPED_TRACE(CollectionName(collection));
    ASSERT_EQ(state.collection, collection);
    ASSERT_EQ(state.denial, copy.denial);
    ASSERT_EQ(state.complete, copy.ready.has_value());
    ASSERT_EQ(state.loading, copy.loading.has_value());
    ASSERT_EQ(state.cursor, copy.ready ? At(copy.cursor) : common::Version());
    Cells stored;
    ASSERT_EQ(reader_->Scan(collection.dataset, collection.prefix, "",
                            [&](std::string_view key, const Found& found) {
                              stored[std::string(key)] = {.revision = found.version.revision,
                                                          .value = std::string(found.entry.value)};
                              return true;
                            }),
              OkStatus());
    ASSERT_EQ(stored, copy.ready.value_or(Cells()));
  }

  std::mt19937_64 random_{TestSeed()};
  Revision revision_ = 1;
  std::map<Collection, ModelCopy> model_;
};

TEST_F(CacheModelTest, EqualsAMap) {
  for (int step = 0; step < 3000; ++step) {
    SCOPED_TRACE(step);
    ASSERT_NO_FATAL_FAILURE(Step());
    if (Chance(2)) {
      Reopen();
      for (auto& [collection, copy] : model_) copy.staged.clear();
    }
    if (Chance(20)) {
      ASSERT_NO_FATAL_FAILURE(Compare());
      ASSERT_EQ(cache_->Check(), OkStatus());
    }
  }
  ASSERT_NO_FATAL_FAILURE(Compare());
}

TEST_F(CacheModelTest, ReadersSeeWholeCutsOnly) {
  std::uint64_t cuts_seen = 0;
  for (int round = 0; round < 5; ++round) {
    std::atomic<bool> stop = false;
    std::vector<std::unique_ptr<Watcher>> watchers;
    for (int i = 0; i < 3; ++i) {
      auto reader = cache_->MakeReader();
      ASSERT_TRUE(reader.ok()) << reader.status();
      watchers.push_back(std::make_unique<Watcher>(*std::move(reader), stop));
    }
    for (int step = 0; step < 500 && !HasFatalFailure(); ++step) Step();
    stop = true;
    for (auto& watcher : watchers) cuts_seen += watcher->cuts_seen();
    watchers.clear();
    ASSERT_NO_FATAL_FAILURE(Compare());
    ASSERT_EQ(cache_->Check(), OkStatus());
    Reopen();
    for (auto& [collection, copy] : model_) copy.staged.clear();
  }
  EXPECT_GT(cuts_seen, 0u) << "the watchers have not run";
}

}  // namespace
}  // namespace agent
