#include "agent/cache/cache.h"

#include <gtest/gtest.h>

#include "agent/cache/agent_status.h"
#include "agent/cache/cache_fixture.h"
#include "common/limits.h"

namespace agent {
namespace {

using common::Collection;
using common::OkStatus;
using common::StatusCode;

const Collection kShopOrders{.dataset = "orders.shop", .prefix = ""};
const Collection kEu{.dataset = "prices", .prefix = "eu-"};
const Collection kUs{.dataset = "prices", .prefix = "us-"};

class CacheTest : public CacheFixture {};

TEST_F(CacheTest, CopyGoesThroughItsLife) {
  EXPECT_EQ(Get("orders.shop", "1"), "<not subscribed>");
  ASSERT_EQ(writer_->Add(kShopOrders), OkStatus());
  EXPECT_EQ(Get("orders.shop", "1"), "<loading>");
  ASSERT_EQ(writer_->BeginLoad(kShopOrders, At(5)), OkStatus());
  Changes first;
  first.Put("1", At(3), "one").Put("2", At(4), "two");
  ASSERT_EQ(writer_->Load(kShopOrders, first.Views()), OkStatus());
  EXPECT_EQ(Get("orders.shop", "1"), "<loading>");
  Changes rest;
  rest.Put("3", At(7), "three", "text/plain").Remove("1", At(6));
  ASSERT_EQ(writer_->Apply(kShopOrders, rest.Views(), At(7)), OkStatus());
  EXPECT_EQ(Get("orders.shop", "1"), "<none>");
  EXPECT_EQ(Get("orders.shop", "2"), "two");
  EXPECT_EQ(Get("orders.shop", "3"), "three");
  ASSERT_EQ(writer_->Deny(kShopOrders, Denial::kNoPermission), OkStatus());
  EXPECT_EQ(Get("orders.shop", "2"), "<no permission>");
  ASSERT_EQ(writer_->Deny(kShopOrders, Denial::kNoDataset), OkStatus());
  EXPECT_EQ(Get("orders.shop", "2"), "<no dataset>");
  ASSERT_EQ(writer_->Deny(kShopOrders, Denial::kNone), OkStatus());
  EXPECT_EQ(Get("orders.shop", "2"), "<loading>");
  ASSERT_EQ(writer_->Remove(kShopOrders), OkStatus());
  EXPECT_EQ(Get("orders.shop", "2"), "<not subscribed>");
  EXPECT_EQ(writer_->Remove(kShopOrders), OkStatus()) << "nothing to remove";
}

TEST_F(CacheTest, KeepsWhatAnEntryCarries) {
  ASSERT_EQ(writer_->Add(kShopOrders), OkStatus());
  ASSERT_EQ(writer_->BeginLoad(kShopOrders, At(9)), OkStatus());
  const Change change{.key = "k",
                      .version = At(9),
                      .entry = common::EntryView{.value = std::string_view("a\0b", 3),
                                                 .published_at_ms = 1'700'000'000'123,
                                                 .expires_at_ms = 1'800'000'000'456,
                                                 .content_type = "application/json"}};
  ASSERT_EQ(writer_->Apply(kShopOrders, {&change, 1}, At(9)), OkStatus());
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  const auto found = reader_->Get("orders.shop", "k");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->entry.value, std::string_view("a\0b", 3));
  EXPECT_EQ((*found)->entry.published_at_ms, 1'700'000'000'123);
  EXPECT_EQ((*found)->entry.expires_at_ms, 1'800'000'000'456);
  EXPECT_EQ((*found)->entry.content_type, "application/json");
  EXPECT_EQ((*found)->version, At(9));
  reader_->Release();
}

TEST_F(CacheTest, StateTellsTotalsAndCursors) {
  Changes changes;
  changes.Put("a", At(1), "xx").Put("bb", At(2), "yyy");
  LoadCopy(kShopOrders, changes, 2);
  ASSERT_EQ(writer_->BeginLoad(kShopOrders, At(8)), OkStatus());
  EXPECT_FALSE(writer_->Copies().at(0).load_cursor) << "no key yet: nothing to resume";
  Changes again;
  again.Put("a", At(7), "new");
  ASSERT_EQ(writer_->Load(kShopOrders, again.Views()), OkStatus());
  Reopen();
  const std::vector<CopyState> states = writer_->Copies();
  ASSERT_EQ(states.size(), 1u);
  const CopyState& state = states[0];
  EXPECT_TRUE(state.complete && state.loading);
  EXPECT_EQ(state.cursor, At(2));
  EXPECT_EQ(state.entries, 2u);
  EXPECT_EQ(state.bytes, 8u);
  common::Digest want = common::EntryHash("a", At(1), "xx");
  want += common::EntryHash("bb", At(2), "yyy");
  EXPECT_EQ(state.digest, want);
  EXPECT_EQ(state.load_cursor, (common::Cursor{.epoch = kEpoch, .revision = 8, .last_key = "a"}));
  EXPECT_EQ(Get("orders.shop", "a"), "xx") << "the old generation serves";
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_EQ(reader_->Copies().at(0).digest, want);
  reader_->Release();
}

TEST_F(CacheTest, ReaderKeepsItsSnapshotAcrossSwapAndRemoval) {
  Changes old;
  old.Put("a", At(1), "old").Put("b", At(1), "old");
  LoadCopy(kShopOrders, old, 1);
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  Changes fresh;
  fresh.Put("a", At(2), "new");
  LoadCopy(kShopOrders, fresh, 2);
  ASSERT_EQ(writer_->Remove(kShopOrders), OkStatus());
  Changes other;
  other.Put("a", At(3), "other");
  LoadCopy(kEu, *std::make_unique<Changes>(), 1);
  const auto found = reader_->Get("orders.shop", "b");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->entry.value, "old");
  reader_->Release();
  EXPECT_EQ(Get("orders.shop", "b"), "<not subscribed>");
}

TEST_F(CacheTest, StagedChangesComeBeforeTheOthersOfTheirCut) {
  Changes old;
  old.Put("a", At(1), "1").Put("b", At(1), "1");
  LoadCopy(kShopOrders, old, 1);
  Changes staged;
  staged.Put("a", At(2), "2").Remove("b", At(2)).Put("c", At(2), "2");
  ASSERT_EQ(writer_->Stage(kShopOrders, staged.Views()), OkStatus());
  EXPECT_EQ(Get("orders.shop", "a"), "1");
  EXPECT_EQ(cache_->Check(), OkStatus());
  Changes last;
  last.Put("a", At(3), "3");
  ASSERT_EQ(writer_->Apply(kShopOrders, last.Views(), At(3)), OkStatus());
  EXPECT_EQ(Get("orders.shop", "a"), "3");
  EXPECT_EQ(Get("orders.shop", "b"), "<none>");
  EXPECT_EQ(Get("orders.shop", "c"), "2");
}

TEST_F(CacheTest, StagedChangesAreForgottenWhenDroppedOrByANewProcess) {
  Changes old;
  old.Put("a", At(1), "1");
  LoadCopy(kShopOrders, old, 1);
  for (const bool reopen : {false, true}) {
    SCOPED_TRACE(reopen);
    Changes staged;
    staged.Put("a", At(2), "2");
    ASSERT_EQ(writer_->Stage(kShopOrders, staged.Views()), OkStatus());
    if (reopen) {
      Reopen();
    } else {
      ASSERT_EQ(writer_->DropStaged(kShopOrders), OkStatus());
    }
    ASSERT_EQ(writer_->Apply(kShopOrders, {}, At(3)), OkStatus());
    EXPECT_EQ(Get("orders.shop", "a"), "1");
  }
}

TEST_F(CacheTest, LoadTakesKeysInAnyOrder) {
  ASSERT_EQ(writer_->Add(kShopOrders), OkStatus());
  ASSERT_EQ(writer_->BeginLoad(kShopOrders, At(1)), OkStatus());
  Changes changes;
  changes.Put("m", At(1), "1").Put("z", At(1), "1").Put("a", At(1), "1").Put("m", At(2), "2");
  changes.Remove("z", At(3)).Put("zz", At(3), "3").Remove("none", At(3));
  ASSERT_EQ(writer_->Load(kShopOrders, changes.Views()), OkStatus());
  ASSERT_EQ(writer_->Apply(kShopOrders, {}, At(3)), OkStatus());
  EXPECT_EQ(Scan("orders.shop"), "a m zz");
  EXPECT_EQ(Get("orders.shop", "m"), "2");
}

TEST_F(CacheTest, PrefixCopiesAreJoinedInScans) {
  Changes eu;
  eu.Put("eu-1", At(1), "x").Put("eu-2", At(1), "x");
  LoadCopy(kEu, eu, 1);
  Changes us;
  us.Put("us-1", At(1), "x").Put("us-2", At(1), "x");
  LoadCopy(kUs, us, 1);
  EXPECT_EQ(Scan("prices"), "eu-1 eu-2 us-1 us-2");
  EXPECT_EQ(Scan("prices", "", "eu-1"), "eu-2 us-1 us-2");
  EXPECT_EQ(Scan("prices", "", "eu-2"), "us-1 us-2");
  EXPECT_EQ(Scan("prices", "", "f"), "us-1 us-2");
  EXPECT_EQ(Scan("prices", "eu-2"), "eu-2");
  EXPECT_EQ(Scan("prices", "us"), "us-1 us-2");
  EXPECT_EQ(Scan("prices", "us-1", "us-1"), "");
  EXPECT_EQ(Scan("prices", "zz"), "");
  EXPECT_EQ(Scan("prices", "", "zz"), "");
  EXPECT_EQ(Scan("prices", "", "", 3), "eu-1 eu-2 us-1");
  EXPECT_EQ(Scan("prices", std::string(1000, 'e')), "");
  EXPECT_EQ(Scan("prices", "", "eu-1" + std::string(1000, 'x')), "eu-2 us-1 us-2");
  EXPECT_EQ(Scan("nothing"), "");
  EXPECT_EQ(Get("prices", "asia-1"), "<not subscribed>");
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  EXPECT_EQ(reader_->Datasets(), std::vector<std::string>{"prices"});
  reader_->Release();
}

// Goal: a scan in steps, each in a snapshot of its own, meets every key that is there all the time
// exactly once, whatever happens to the others and to the generations in between.
TEST_F(CacheTest, ScanGoesOnAcrossSwapsAndRemovals) {
  Changes old;
  for (int i = 0; i < 300; ++i) old.Put(fmt::format("{:03}", i), At(1), "old");
  LoadCopy(kShopOrders, old, 1);
  std::string after;
  std::vector<std::string> even_keys;
  for (common::Revision revision = 2;; ++revision) {
    const std::string keys = Scan("orders.shop", "", after, 7);
    if (keys.empty()) break;
    for (std::size_t at = 0; at < keys.size(); at += 4) {
      after = keys.substr(at, 3);
      if ((after[2] - '0') % 2 == 0) even_keys.push_back(after);
    }
    Changes fresh;
    for (int i = 0; i < 300; ++i) {
      if (i % 2 == 0 || (i + static_cast<int>(revision)) % 3 == 0) {
        fresh.Put(fmt::format("{:03}", i), At(revision), "new");
      }
    }
    if (revision % 2 == 0) {
      LoadCopy(kShopOrders, fresh, revision);
    } else {
      Changes removal;
      removal.Remove(after, At(revision)).Put(after, At(revision), "again");
      ASSERT_EQ(writer_->Apply(kShopOrders, removal.Views(), At(revision)), OkStatus());
    }
  }
  EXPECT_EQ(even_keys.size(), 150u);
  EXPECT_TRUE(std::is_sorted(even_keys.begin(), even_keys.end()));
  EXPECT_EQ(std::adjacent_find(even_keys.begin(), even_keys.end()), even_keys.end());
  after = "100";
  ASSERT_EQ(writer_->Remove(kShopOrders), OkStatus());
  EXPECT_EQ(Scan("orders.shop", "", after), "") << "the copy is gone, so is the rest of the scan";
}

TEST_F(CacheTest, ListenerHearsWhatReadersWillSee) {
  Changes old;
  old.Put("a", At(1), "1").Put("b", At(1), "1");
  LoadCopy(kShopOrders, old, 1);
  EXPECT_EQ(listener_.changed, std::vector<std::string>{"all orders.shop"});
  listener_.changed.clear();
  Changes staged;
  staged.Put("s", At(2), "2");
  ASSERT_EQ(writer_->Stage(kShopOrders, staged.Views()), OkStatus());
  EXPECT_TRUE(listener_.changed.empty());
  Changes changes;
  changes.Put("a", At(1), "1").Remove("b", At(2)).Remove("none", At(2)).Put("c", At(2), "2");
  ASSERT_EQ(writer_->Apply(kShopOrders, changes.Views(), At(2)), OkStatus());
  EXPECT_EQ(listener_.changed, (std::vector<std::string>{"set orders.shop/s", "del orders.shop/b",
                                                         "set orders.shop/c"}));
  listener_.changed.clear();
  listener_.wants = false;
  Changes more;
  more.Put("a", At(3), "3");
  ASSERT_EQ(writer_->Apply(kShopOrders, more.Views(), At(3)), OkStatus());
  EXPECT_TRUE(listener_.changed.empty());
  ASSERT_EQ(writer_->Deny(kShopOrders, Denial::kNoDataset), OkStatus());
  ASSERT_EQ(writer_->Deny(kShopOrders, Denial::kNoDataset), OkStatus());
  ASSERT_EQ(writer_->Remove(kShopOrders), OkStatus());
  EXPECT_EQ(listener_.changed, std::vector<std::string>{"all orders.shop"})
      << "it was readable once";
}

TEST_F(CacheTest, ManyChangesAreToldAsAReplacement) {
  Changes none;
  LoadCopy(kShopOrders, none, 1);
  listener_.changed.clear();
  Changes many;
  for (std::size_t i = 0; i <= common::kChangedKeysMax; ++i) {
    many.Put(fmt::format("{:08}", i), At(2), "");
  }
  ASSERT_EQ(writer_->Apply(kShopOrders, many.Views(), At(2)), OkStatus());
  EXPECT_EQ(listener_.changed, std::vector<std::string>{"all orders.shop"});
}

TEST_F(CacheTest, RefusesWhatDoesNotBelong) {
  Changes none;
  LoadCopy(kEu, none, 1);
  const std::string long_key = "eu-" + std::string(common::kKeyBytesMax, 'x');
  const std::string big(common::kValueBytesMax + 1, 'x');
  const std::string long_type(common::kContentTypeBytesMax + 1, 'x');
  const common::Version wide{.epoch = 1ULL << 48, .revision = 1};
  struct Case {
    const char* what;
    Change change;
  };
  const Case cases[] = {
      {"empty key", {.key = "", .version = At(2), .entry = common::EntryView{}}},
      {"long key", {.key = long_key, .version = At(2), .entry = common::EntryView{}}},
      {"outside the prefix", {.key = "us-1", .version = At(2), .entry = common::EntryView{}}},
      {"removal outside", {.key = "us-1", .version = At(2), .entry = std::nullopt}},
      {"big value", {.key = "eu-1", .version = At(2), .entry = common::EntryView{.value = big}}},
      {"long type",
       {.key = "eu-1",
        .version = At(2),
        .entry = common::EntryView{.value = "", .content_type = long_type}}},
      {"wide epoch", {.key = "eu-1", .version = wide, .entry = common::EntryView{}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Change changes[] = {{.key = "eu-ok", .version = At(2), .entry = common::EntryView{}},
                              c.change};
    EXPECT_EQ(writer_->Apply(kEu, changes, At(2)).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(writer_->Stage(kEu, changes).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(writer_->Load(kEu, changes).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Scan("prices"), "") << "nothing was half applied";
  EXPECT_EQ(writer_->Load(kEu, {}).code(), StatusCode::kFailedPrecondition) << "no load was begun";
  EXPECT_EQ(writer_->Add({.dataset = "Bad Name", .prefix = ""}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(writer_->Add({.dataset = "a", .prefix = long_key}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(writer_->Apply(kUs, {}, At(2)).code(), StatusCode::kNotFound);
  EXPECT_EQ(writer_->Stage(kUs, {}).code(), StatusCode::kNotFound);
  EXPECT_EQ(writer_->BeginLoad(kUs, At(2)).code(), StatusCode::kNotFound);
  EXPECT_EQ(writer_->Deny(kUs, Denial::kNoDataset).code(), StatusCode::kNotFound);
  EXPECT_EQ(writer_->DropStaged(kUs).code(), StatusCode::kNotFound);
  ASSERT_EQ(writer_->Add(kUs), OkStatus());
  EXPECT_EQ(writer_->Apply(kUs, {}, At(2)).code(), StatusCode::kFailedPrecondition);
}

TEST_F(CacheTest, LimitsAreReached) {
  Changes changes;
  const std::string key(common::kKeyBytesMax, '\xFF');
  changes.Put(key, At(1), std::string(common::kValueBytesMax, 'v'),
              std::string(common::kContentTypeBytesMax, 't'));
  LoadCopy(kShopOrders, changes, 1);
  EXPECT_EQ(Get("orders.shop", key).size(), common::kValueBytesMax);
  EXPECT_EQ(Get("orders.shop", key + "x"), "<none>") << "longer than LMDB's keys";
  EXPECT_EQ(Get("orders.shop", std::string(2000, 'x')), "<none>");
  EXPECT_EQ(Get("orders.shop", ""), "<none>");
  EXPECT_EQ(Scan("orders.shop", key), key);
}

TEST_F(CacheTest, CarriesAsManyCopiesAsItSays) {
  for (std::size_t i = 0; i < common::kCopiesMax; ++i) {
    ASSERT_EQ(writer_->Add({.dataset = "d", .prefix = fmt::format("{:04}", i)}), OkStatus());
  }
  EXPECT_EQ(writer_->Add(kShopOrders).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(writer_->Add({.dataset = "d", .prefix = "0001"}), OkStatus()) << "is there";
  EXPECT_EQ(writer_->Copies().size(), common::kCopiesMax);
}

TEST_F(CacheTest, MetaValuesAreDurable) {
  EXPECT_EQ(*writer_->GetMeta("subscriptions"), "");
  ASSERT_EQ(writer_->SetMeta("subscriptions", std::string_view("a\0b", 3)), OkStatus());
  ASSERT_EQ(writer_->SetMeta("layout", "not the cache's own"), OkStatus());
  Reopen();
  EXPECT_EQ(*writer_->GetMeta("subscriptions"), std::string_view("a\0b", 3));
  ASSERT_EQ(writer_->SetMeta("subscriptions", ""), OkStatus());
  EXPECT_EQ(*writer_->GetMeta("subscriptions"), "");
}

TEST_F(CacheTest, SlotsAreUsedAgain) {
  for (int i = 0; i < 100; ++i) {
    Changes changes;
    changes.Put("a", At(1), std::to_string(i));
    LoadCopy(kShopOrders, changes, 1);
    ASSERT_EQ(writer_->BeginLoad(kShopOrders, At(2)), OkStatus());
    ASSERT_EQ(writer_->Load(kShopOrders, changes.Views()), OkStatus());
    ASSERT_EQ(writer_->BeginLoad(kShopOrders, At(3)), OkStatus()) << "drops the unfinished one";
    ASSERT_EQ(cache_->Check(), OkStatus());
    EXPECT_EQ(Get("orders.shop", "a"), std::to_string(i));
  }
  EXPECT_LT(cache_->bytes_used(), 1u << 20);
}

TEST(PhaseNameTest, EachPhaseHasAName) {
  EXPECT_EQ(PhaseName(CopyPhase::kSyncing), "SYNCING");
  EXPECT_EQ(PhaseName(CopyPhase::kNoPermission), "NOPERM");
}

}  // namespace
}  // namespace agent
