// Goal: a reader with an index answers, in every snapshot, exactly what the B+tree of that snapshot
// holds – whatever is committed, reloaded, denied or removed meanwhile, and however little the
// index can keep.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>

#include "agent/cache/cache_fixture.h"
#include "agent/cache/commit_feed.h"
#include "agent/cache/place_index.h"
#include "common/thread.h"

namespace agent {
namespace {

using common::Collection;
using common::OkStatus;
using common::Revision;

// --- the table alone --------------------------------------------------------------------------

TEST(PlaceIndexTest, NeverTellsAnythingButWhatWasPutLast) {
  std::mt19937_64 random(TestSeed());
  for (const std::size_t bytes : {0u, 4096u, 16384u, 1u << 20}) {
    SCOPED_TRACE(bytes);
    PlaceIndex index(bytes);
    std::map<std::uint64_t, Place> model;
    std::size_t found = 0;
    for (int step = 0; step < 20'000; ++step) {
      const std::uint64_t hash = PlaceHash(7, std::to_string(random() % 1000));
      if (random() % 1000 == 0) {
        index.Clear();
        model.clear();
      } else if (random() % 4 == 0) {
        index.Erase(hash);
        model.erase(hash);
      } else if (const auto place = index.Find(hash)) {
        ++found;
        ASSERT_TRUE(model.contains(hash));
        ASSERT_EQ(place->record, model[hash].record);
        ASSERT_EQ(place->size, model[hash].size);
        ASSERT_EQ(place->check, model[hash].check);
      } else {
        const Place put{.record = reinterpret_cast<const char*>(random() >> 16),
                        .size = static_cast<std::uint32_t>(random() % kPlacedRecordBytesMax),
                        .check = static_cast<std::uint32_t>(random())};
        index.Put(hash, put);
        model[hash] = put;
      }
      ASSERT_LE(index.bytes(), bytes);
    }
    EXPECT_EQ(found > 0, bytes > 0);
  }
}

TEST(PlaceIndexTest, FindsNearlyAllOfWhatItHasRoomFor) {
  PlaceIndex index(1 << 20);
  constexpr std::size_t kKeys = (1 << 20) / 16 * 9 / 16;  // crowded, at its largest
  std::size_t found = 0;
  for (int round = 0; round < 4; ++round) {  // the first ones meet tables that are too small
    found = 0;
    for (std::size_t i = 0; i < kKeys; ++i) {
      const std::uint64_t hash = PlaceHash(1, std::to_string(i));
      if (index.Find(hash)) {
        ++found;
      } else {
        index.Put(hash, {.record = "x", .size = 1, .check = 0});
      }
    }
  }
  EXPECT_GT(found, kKeys * 95 / 100);
}

// --- announcements ----------------------------------------------------------------------------

TEST(CommitFeedTest, GathersWhatWasAnnouncedSinceTheLastTake) {
  CommitFeeds feeds;
  CommitFeed feed(feeds);
  ChangedPlaces taken;
  EXPECT_TRUE(feed.Take(taken)) << "which commit was announced before it joined";
  EXPECT_FALSE(feed.Take(taken));
  feeds.Announce({.txn = 5, .hashes = {1, 2}});
  feeds.Announce({.txn = 6, .hashes = {3}});
  ASSERT_TRUE(feed.Take(taken));
  EXPECT_EQ(taken.txn, 6u);
  EXPECT_FALSE(taken.all);
  EXPECT_EQ(taken.hashes, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_FALSE(feed.Take(taken));
  CommitFeed late(feeds);
  ASSERT_TRUE(late.Take(taken));
  EXPECT_EQ(taken.txn, 6u) << "it may not be committed yet";
  EXPECT_TRUE(taken.hashes.empty());
}

TEST(CommitFeedTest, BeyondTheBoundEverythingMayHaveChanged) {
  CommitFeeds feeds;
  CommitFeed feed(feeds);
  ChangedPlaces changed{.txn = 1};
  for (std::size_t i = 0; i < kAnnouncedPlacesMax; ++i) changed.Add(i);
  EXPECT_FALSE(changed.all);
  feeds.Announce(changed);
  feeds.Announce({.txn = 2, .hashes = {1}});
  ChangedPlaces taken;
  ASSERT_TRUE(feed.Take(taken));
  EXPECT_TRUE(taken.all);
  EXPECT_TRUE(taken.hashes.empty());
  feeds.Announce({.txn = 3, .hashes = {1}});
  ASSERT_TRUE(feed.Take(taken));
  EXPECT_FALSE(taken.all);
}

// --- a reader with an index -------------------------------------------------------------------

class CacheIndexTest : public CacheFixture {
 protected:
  void SetUp() override {
    Open();
    Changes changes;
    for (int i = 0; i < 200; ++i) changes.Put(fmt::format("{:03}", i), At(1), "first");
    LoadCopy(kOrders, changes, 1);
  }
  std::string GetNow(const std::string& key) {
    const auto found = reader_->Get("orders", key);
    return !found.ok() ? "<error>" : !*found ? "<none>" : std::string((*found)->entry.value);
  }
  void Apply(Revision revision, const std::string& value) {
    Changes changes;
    changes.Put("007", At(revision), value);
    ASSERT_EQ(writer_->Apply(kOrders, changes.Views(), At(revision)), OkStatus());
  }
};

TEST_F(CacheIndexTest, AnswersFromTheSnapshotThatItHas) {
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_EQ(GetNow("007"), "first");
  EXPECT_EQ(reader_->index_stats().hits.Get(), 0u);
  Apply(2, "second");
  EXPECT_EQ(GetNow("007"), "first");
  EXPECT_EQ(reader_->index_stats().hits.Get(), 1u);
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_EQ(GetNow("007"), "second");
  EXPECT_EQ(reader_->index_stats().hits.Get(), 1u);
  EXPECT_EQ(GetNow("007"), "second");
  EXPECT_EQ(reader_->index_stats().hits.Get(), 2u);
}

// Each commit moves the leaf that it changes, and soon its old page is something else.
TEST_F(CacheIndexTest, NoticesThatAnEntryHasMoved) {
  for (Revision revision = 2; revision < 100; ++revision) {
    ASSERT_EQ(reader_->Refresh(), OkStatus());
    EXPECT_EQ(GetNow("007"), revision == 2 ? "first" : std::to_string(revision - 1));
    EXPECT_EQ(GetNow("008"), "first");
    Apply(revision, std::to_string(revision));
  }
  EXPECT_GT(reader_->index_stats().moved.Get(), 0u);
  EXPECT_GT(reader_->index_stats().hits.Get(), 0u);
}

TEST_F(CacheIndexTest, PrefetchedKeysAreFoundOnlyIfTheIndexKnowsThem) {
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  const std::array refs{
      KeyRef{.dataset = "orders", .key = "007"}, KeyRef{.dataset = "nobody", .key = "007"},
      KeyRef{.dataset = "orders", .key = ""}, KeyRef{.dataset = "orders", .key = "nothing"},
      KeyRef{.dataset = "orders", .key = "007"}};
  std::array<PrefetchedKey, refs.size()> keys;
  reader_->Prefetch(refs, keys);
  for (const PrefetchedKey& key : keys) EXPECT_FALSE(reader_->LookUpPrefetched(key));
  for (const KeyRef& ref : refs) (void)reader_->LookUp(ref);
  reader_->Prefetch(refs, keys);
  reader_->Prefetch({}, {});
  for (std::size_t i = 0; i < refs.size(); ++i) {
    const auto found = reader_->LookUpPrefetched(keys[i]);
    ASSERT_EQ(found.has_value(), i == 0 || i == 4) << i;
    if (found) {
      EXPECT_EQ(found->entry.value, "first");
    }
  }
}

TEST_F(CacheIndexTest, IsFilledAheadOfReads) {
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_TRUE(reader_->WantsFill());
  int steps = 0;
  while (reader_->FillIndex(50)) ++steps;
  EXPECT_GE(steps, 4);
  EXPECT_FALSE(reader_->WantsFill());
  for (int i = 0; i < 200; ++i) EXPECT_EQ(GetNow(fmt::format("{:03}", i)), "first");
  EXPECT_GT(reader_->index_stats().hits.Get(), 190u) << "some sets overflow";

  Apply(2, "second");
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_FALSE(reader_->WantsFill()) << "a changed entry is learned when it is read";
  EXPECT_EQ(GetNow("007"), "second");

  Changes changes;
  for (int i = 0; i < 100; ++i) changes.Put(fmt::format("{:03}", i), At(3), "reloaded");
  LoadCopy(kOrders, changes, 3);
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_TRUE(reader_->WantsFill());
  while (reader_->FillIndex(50)) continue;
  const std::uint64_t hits = reader_->index_stats().hits.Get();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(GetNow(fmt::format("{:03}", i)), "reloaded");
  EXPECT_GT(reader_->index_stats().hits.Get(), hits + 90);
}

// Goal: what is held of a key may be that it does not exist; that is no entry without a value.
TEST_F(CacheIndexTest, FillingLeavesAbsencesOut) {
  const Collection named{.dataset = "named", .prefix = ""};
  const Change held[] = {
      {.key = "gone", .version = At(2), .entry = {}, .absent = true},
      {.key = "here", .version = At(2), .entry = common::EntryView{.value = ""}}};
  ASSERT_EQ(writer_->Add(named, /*by_name=*/true), OkStatus());
  ASSERT_EQ(writer_->BeginLoad(named, At(1)), OkStatus());
  ASSERT_EQ(writer_->Apply(named, held, At(2)), OkStatus());
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  while (reader_->FillIndex(50)) continue;
  for (const Change& change : held) {
    const auto answer = reader_->LookUp({.dataset = named.dataset, .key = change.key});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->coverage, Coverage::kReadable) << change.key;
    EXPECT_EQ(answer->found.has_value(), !change.absent) << change.key;
  }
}

TEST_F(CacheIndexTest, FillingEndsWhenTheIndexIsFull) {
  auto small = cache_->MakeReader(4096);
  ASSERT_TRUE(small.ok()) << small.status();
  ASSERT_EQ((*small)->Refresh(), OkStatus());
  int steps = 0;
  while ((*small)->FillIndex(1)) ++steps;
  EXPECT_GT(steps, 100);
  EXPECT_LT(steps, 200);
  EXPECT_FALSE((*small)->WantsFill());
}

// Compares the index with a walk through the same snapshot, again and again.
class Comparer {
 public:
  Comparer(std::unique_ptr<Reader> reader, std::size_t keys, std::size_t fill,
           const std::atomic<bool>& stop)
      : reader_(std::move(reader)), keys_(keys), fill_(fill), thread_("comparer", [this, &stop] {
          while (!stop) Compare();
        }) {}
  const IndexStats& Finish() {
    thread_.Join();
    EXPECT_GT(prefetched_, 0u);
    return reader_->index_stats();
  }

 private:
  void Compare() {
    CHECK(reader_->Refresh().ok());
    reader_->FillIndex(fill_);
    for (const CopyState& state : reader_->Copies()) {
      if (state.complete) CompareCopy(state.collection);
    }
    reader_->Release();
  }
  void CompareCopy(const Collection& collection) {
    stored_.clear();
    CHECK(reader_
              ->Scan(collection.dataset, collection.prefix, "",
                     [&](std::string_view key, const Found& found) {
                       stored_[std::string(key)] = {found.version, std::string(found.entry.value)};
                       return true;
                     })
              .ok());
    for (std::size_t i = 0; i < keys_; ++i) {
      const std::string key = fmt::format("{}{:04}", collection.prefix, i);
      const auto found = reader_->Get(collection.dataset, key);
      CHECK(found.ok());
      const auto wanted = stored_.find(key);
      CHECK(found->has_value() == (wanted != stored_.end()));
      if (!found->has_value()) continue;
      CHECK((*found)->version == wanted->second.first);
      CHECK((*found)->entry.value == wanted->second.second);
    }
    ComparePrefetched(collection);
  }
  // The same keys, some together; what is not known to the index is not there.
  void ComparePrefetched(const Collection& collection) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < keys_; i += keys_ / kPrefetchedKeysMax + 1) {
      keys.push_back(fmt::format("{}{:04}", collection.prefix, i));
    }
    std::vector<KeyRef> refs;
    for (const std::string& key : keys) refs.push_back({collection.dataset, key});
    std::vector<PrefetchedKey> prefetched(refs.size());
    reader_->Prefetch(refs, prefetched);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto found = reader_->LookUpPrefetched(prefetched[i]);
      if (!found) continue;
      const auto wanted = stored_.find(keys[i]);
      CHECK(wanted != stored_.end());
      CHECK(found->version == wanted->second.first && found->entry.value == wanted->second.second);
      ++prefetched_;
    }
  }

  std::unique_ptr<Reader> reader_;
  const std::size_t keys_;
  const std::size_t fill_;  // entries taken in ahead of reads, in each snapshot
  std::map<std::string, std::pair<common::Version, std::string>> stored_;
  std::size_t prefetched_ = 0;
  common::Thread thread_;
};

class CacheIndexModelTest : public CacheFixture {
 protected:
  static constexpr std::size_t kKeys = 600;

  Changes RandomChanges(const Collection& collection, std::size_t count) {
    Changes changes;
    for (std::size_t i = 0; i < count; ++i) {
      std::string key = fmt::format("{}{:04}", collection.prefix, random_() % kKeys);
      if (random_() % 4 == 0) {
        changes.Remove(std::move(key), At(revision_));
        continue;
      }
      const std::size_t size = random_() % 50 == 0 ? random_() % 20'000 : random_() % 300;
      changes.Put(std::move(key), At(revision_),
                  std::string(size, static_cast<char>('a' + random_() % 26)));
    }
    return changes;
  }
  void Reload(const Collection& collection) {
    Changes changes = RandomChanges(collection, kKeys);
    ASSERT_EQ(writer_->Add(collection), OkStatus());
    ASSERT_EQ(writer_->BeginLoad(collection, At(revision_)), OkStatus());
    ASSERT_EQ(writer_->Load(collection, changes.Views()), OkStatus());
    ASSERT_EQ(writer_->Apply(collection, {}, At(revision_)), OkStatus());
  }
  void Step() {
    static const Collection kAll[] = {
        kOrders, {.dataset = "prices", .prefix = "eu-"}, {.dataset = "prices", .prefix = "us-"}};
    const Collection& collection = kAll[random_() % std::size(kAll)];
    ++revision_;
    const std::uint64_t dice = random_() % 100;
    if (dice < 2) {
      ASSERT_EQ(writer_->Remove(collection), OkStatus());
    } else if (dice < 4 && writer_->Add(collection).ok()) {
      ASSERT_EQ(writer_->Deny(collection, Denial::kNoPermission), OkStatus());
    } else if (dice < 20) {
      ASSERT_NO_FATAL_FAILURE(Reload(collection));
    } else if (dice < 30) {
      writer_->Stage(collection, RandomChanges(collection, 20).Views()).IgnoreError();
    } else {
      // Refused while there is no copy; that is part of the load.
      writer_
          ->Apply(collection, RandomChanges(collection, 1 + random_() % 20).Views(), At(revision_))
          .IgnoreError();
    }
  }

  std::mt19937_64 random_{TestSeed()};
  Revision revision_ = 1;
};

TEST_F(CacheIndexModelTest, EqualsTheTreeUnderLoad) {
  std::atomic<bool> stop = false;
  std::vector<std::unique_ptr<Comparer>> comparers;
  for (const auto& [bytes, fill] : {std::pair(4096, 0), {4096, 50}, {1 << 20, 0}, {1 << 20, 500}}) {
    auto reader = cache_->MakeReader(static_cast<std::size_t>(bytes));
    ASSERT_TRUE(reader.ok()) << reader.status();
    comparers.push_back(std::make_unique<Comparer>(*std::move(reader), kKeys, fill, stop));
  }
  for (int step = 0; step < 1000 && !HasFatalFailure(); ++step) Step();
  stop = true;
  for (auto& comparer : comparers) {
    const IndexStats& stats = comparer->Finish();
    EXPECT_GT(stats.hits.Get(), 0u);
    EXPECT_GT(stats.learned.Get(), 0u);
    std::fprintf(stderr, "hits %llu, moved %llu, learned %llu\n",
                 static_cast<unsigned long long>(stats.hits.Get()),
                 static_cast<unsigned long long>(stats.moved.Get()),
                 static_cast<unsigned long long>(stats.learned.Get()));
  }
}

}  // namespace
}  // namespace agent
