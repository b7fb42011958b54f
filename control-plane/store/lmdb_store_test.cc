#include "control-plane/store/lmdb_store.h"

#include <gtest/gtest.h>

#include "common/limits.h"
#include "control-plane/store/check.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

using common::StatusCode;
using testing::Del;
using testing::MakeBatch;
using testing::Put;

class LmdbStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void TearDown() override {
    ASSERT_NE(store_, nullptr);
    EXPECT_TRUE(CheckLmdbStore(*store_).ok()) << CheckLmdbStore(*store_);
  }

  void Reopen() {
    store_.reset();
    store_ = testing::OpenStore(dir_.path());
  }

  std::vector<Outcome> Commit(Group group) {
    auto outcomes = store_->Commit(group);
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? *std::move(outcomes) : std::vector<Outcome>();
  }
  void Declare(DeclarationChange change, std::int64_t now_ms = 1000) {
    Group group;
    group.declarations.push_back(std::move(change));
    group.now_ms = now_ms;
    Commit(std::move(group));
  }
  Outcome Publish(Batch batch, std::int64_t now_ms = 1000) {
    Group group;
    group.batches.push_back(std::move(batch));
    group.now_ms = now_ms;
    const std::vector<Outcome> outcomes = Commit(std::move(group));
    return outcomes.empty() ? Outcome{} : outcomes.front();
  }

  std::optional<DatasetState> State(std::string_view name) const {
    return *(*store_->OpenView())->Dataset(name);
  }
  // "key=value" or "key" for tombstones, in order of position.
  std::vector<std::string> Changes(std::string_view name, Position after = {}) const {
    std::vector<std::string> changes;
    const auto view = *store_->OpenView();
    EXPECT_TRUE(view->ScanChanges(State(name)->id, {}, after, [&](const Stored& stored) {
      changes.emplace_back(stored.key);
      if (!stored.resource.empty()) {
        changes.back().append("=").append(common::EntryOfResource(stored.resource).value);
      }
      return true;
    }).ok());
    return changes;
  }

  testing::TestDir dir_;
  std::unique_ptr<LmdbStore> store_;
};

using Texts = std::vector<std::string>;

TEST_F(LmdbStoreTest, KeepsItsEpochAndIsHeldByOne) {
  const Epoch epoch = store_->epoch();
  EXPECT_NE(epoch, 0u);
  const auto second = LmdbStore::Open({.dir = dir_.path(), .map_bytes = 1 << 30});
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  Reopen();
  EXPECT_EQ(store_->epoch(), epoch);
  const testing::TestDir other;
  EXPECT_NE(testing::OpenStore(other.path())->epoch(), epoch);
}

TEST_F(LmdbStoreTest, TheLastWriteOfAKeyInABatchWins) {
  Declare(testing::DeclareDataset("d", "o"));
  const Outcome outcome = Publish(
      MakeBatch("p", 1, {Put("d", "a", "1"), Put("d", "b", "2"), Put("d", "a", "3")}));
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_TRUE(outcome.changed);
  EXPECT_EQ(outcome.revision, State("d")->head);
  EXPECT_EQ(State("d")->entries, 2u);
  EXPECT_EQ(State("d")->bytes, 4u);
  EXPECT_EQ(Changes("d"), (Texts{"b=2", "a=3"}));
}

TEST_F(LmdbStoreTest, DeletingAnAbsentKeyMovesNothing) {
  Declare(testing::DeclareDataset("d", "o"));
  Declare(testing::DeclareDataset("e", "o"));
  const Revision head = Publish(MakeBatch("p", 1, {Put("d", "a", "1")})).revision;
  Publish(MakeBatch("p", 2, {Put("e", "a", "1")}));  // the store's head is beyond d's
  const Outcome outcome = Publish(MakeBatch("p", 3, {Del("d", "b"), Del("d", "c")}));
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_FALSE(outcome.changed);
  EXPECT_EQ(outcome.deleted, 0u);
  EXPECT_EQ(outcome.revision, head);
  EXPECT_EQ(State("d")->head, head);
  EXPECT_EQ(Changes("d"), (Texts{"a=1"}));
}

TEST_F(LmdbStoreTest, ATombstoneEndsWithTheNextPut) {
  Declare(testing::DeclareDataset("d", "o"));
  Publish(MakeBatch("p", 1, {Put("d", "a", "1"), Put("d", "b", "1")}));
  const Outcome deleted = Publish(MakeBatch("p", 2, {Del("d", "a"), Del("d", "x")}));
  EXPECT_EQ(deleted.deleted, 1u);
  EXPECT_EQ(Changes("d"), (Texts{"b=1", "a"}));
  Publish(MakeBatch("p", 3, {Put("d", "a", "2")}));
  EXPECT_EQ(Changes("d"), (Texts{"b=1", "a=2"}));
  EXPECT_EQ(Changes("d", EndOf(deleted.revision)), (Texts{"a=2"}));
}

TEST_F(LmdbStoreTest, ABatchSpansDatasetsOrIsRefusedWhole) {
  Declare(testing::DeclareDataset("d", "o"));
  Declare(testing::DeclareDataset("e", "o"));
  const Outcome outcome = Publish(MakeBatch("p", 1, {Put("d", "a", "1"), Put("e", "a", "1")}));
  EXPECT_EQ(State("d")->head, outcome.revision);
  EXPECT_EQ(State("e")->head, outcome.revision);
  const Outcome refused = Publish(MakeBatch("p", 2, {Put("d", "a", "2"), Put("f", "a", "2")}));
  EXPECT_EQ(refused.status.code(), StatusCode::kNotFound);
  EXPECT_EQ(Changes("d"), (Texts{"a=1"}));
}

TEST_F(LmdbStoreTest, AnswersARetryAsBeforeAndSaysWhenItCannot) {
  Declare(testing::DeclareDataset("d", "o"));
  constexpr std::uint64_t kLast = common::kPublisherResultsKept + 6;
  std::vector<Outcome> first(1);
  for (std::uint64_t sequence = 1; sequence <= kLast; ++sequence) {
    Batch batch = MakeBatch("p", sequence, {Put("d", "a", std::to_string(sequence))});
    if (sequence == 40) batch.refused = absl::PermissionDeniedError("not yours");
    first.push_back(Publish(std::move(batch)));
  }
  Reopen();
  EXPECT_EQ(*store_->LastSequence("p"), kLast);
  for (const std::uint64_t sequence : {std::uint64_t{7}, std::uint64_t{40}, kLast}) {
    const Outcome again = Publish(MakeBatch("p", sequence, {Put("d", "a", "again")}));
    EXPECT_EQ(again.status, first[sequence].status) << sequence;
    EXPECT_EQ(again.revision, first[sequence].revision) << sequence;
    EXPECT_FALSE(again.changed);
  }
  const Outcome old = Publish(MakeBatch("p", 6, {Put("d", "a", "again")}));
  EXPECT_EQ(old.status.code(), StatusCode::kOutOfRange);
  EXPECT_NE(old.status.ToString().find("batch 6 of publisher p"), std::string::npos);
  EXPECT_EQ(Changes("d"), Texts{fmt::format("a={}", kLast)});

  Batch settling = MakeBatch("p", kLast + 1, {Put("d", "a", "last")});
  settling.settled = kLast;
  EXPECT_EQ(Publish(settling).status, absl::OkStatus());
  EXPECT_EQ(Publish(MakeBatch("p", kLast, {Put("d", "a", "again")})).status.code(),
            StatusCode::kOutOfRange)
      << "the publisher has said that it knows the outcome";
  EXPECT_EQ(Publish(settling).revision, State("d")->head) << "this one is remembered";

  Group forget;
  forget.forget_publishers = {"p", "unknown", "", std::string(1000, 'x')};
  Commit(forget);
  EXPECT_EQ(*store_->LastSequence("p"), 0u);
}

TEST_F(LmdbStoreTest, AWithdrawnDatasetComesBackUntilItIsPurged) {
  Declare(testing::DeclareDataset("d", "o"), 1000);
  const Revision head = Publish(MakeBatch("p", 1, {Put("d", "a", "1")}), 1000).revision;
  Declare(testing::WithdrawDataset("d"), 2000);
  EXPECT_EQ(store_->catalog()->FindDataset("d"), nullptr);
  EXPECT_FALSE(*store_->Compact(/*before_ms=*/2000, 100, 100));
  Declare(testing::DeclareDataset("d", "o"), 3000);
  EXPECT_EQ(Changes("d"), (Texts{"a=1"}));
  EXPECT_EQ(State("d")->head, head);

  Declare(testing::WithdrawDataset("d"), 4000);
  EXPECT_FALSE(*store_->Compact(/*before_ms=*/4001, 100, 100));
  EXPECT_FALSE(State("d").has_value());
  Declare(testing::DeclareDataset("d", "o"), 5000);
  EXPECT_EQ(Changes("d"), Texts());
  EXPECT_GT(State("d")->floor, head);  // no cursor of its former life may resume
  EXPECT_EQ(State("d")->head, State("d")->floor);
  while (*store_->Compact(/*before_ms=*/4001, 100, 1)) {
  }
  EXPECT_EQ(State("d")->entries, 0u);
}

TEST_F(LmdbStoreTest, DropsTombstonesByAgeAndNumber) {
  Declare(testing::DeclareDataset("d", "o"));
  std::uint64_t sequence = 0;
  std::vector<Revision> removed;
  for (const std::int64_t now_ms : {1000, 2000, 3000, 4000}) {
    const std::string key = std::to_string(now_ms);
    Publish(MakeBatch("p", ++sequence, {Put("d", key, "v")}), now_ms);
    removed.push_back(Publish(MakeBatch("p", ++sequence, {Del("d", key)}), now_ms).revision);
  }
  const Revision floor = State("d")->floor;
  EXPECT_FALSE(*store_->Compact(/*before_ms=*/1000, 4, 100));
  EXPECT_EQ(State("d")->floor, floor);
  EXPECT_FALSE(*store_->Compact(/*before_ms=*/2001, 4, 100));
  EXPECT_EQ(State("d")->floor, removed[1]);
  EXPECT_EQ(Changes("d"), (Texts{"3000", "4000"}));
  EXPECT_FALSE(*store_->Compact(/*before_ms=*/0, 1, 100));
  EXPECT_EQ(State("d")->floor, removed[2]);
  EXPECT_EQ(Changes("d"), (Texts{"4000"}));
  EXPECT_FALSE(*store_->Compact(/*before_ms=*/0, 0, 100));
  EXPECT_EQ(Changes("d"), Texts());  // the last row of its table
}

TEST_F(LmdbStoreTest, ForgetsPublishersNotSeenForLong) {
  Declare(testing::DeclareDataset("d", "o"));
  for (int i = 0; i < 50; ++i) {
    Publish(MakeBatch(fmt::format("p{}", i), 1, {Put("d", "a", "1")}), i < 25 ? 1000 : 2000);
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(store_->Compact(/*before_ms=*/2000, 100, 40).ok());
  EXPECT_EQ(*store_->LastSequence("p24"), 0u);
  EXPECT_EQ(*store_->LastSequence("p25"), 1u);
}

TEST_F(LmdbStoreTest, AViewIsASnapshot) {
  Declare(testing::DeclareDataset("d", "o"));
  Publish(MakeBatch("p", 1, {Put("d", "a", "1")}));
  const auto view = *store_->OpenView();
  Publish(MakeBatch("p", 2, {Put("d", "a", "2"), Put("d", "b", "2")}));
  const std::uint32_t id = (*view->Dataset("d"))->id;
  EXPECT_EQ(common::EntryOfResource((*view->Get(id, "a"))->resource).value, "1");
  EXPECT_FALSE(view->Get(id, "b")->has_value());
  EXPECT_EQ((*view->Dataset("d"))->entries, 1u);
  EXPECT_EQ((*store_->OpenView())->head(), view->head() + 1);
}

TEST_F(LmdbStoreTest, OddNamesAndKeysAreNotFoundRatherThanErrors) {
  Declare(testing::DeclareDataset("d", "o"));
  const auto view = *store_->OpenView();
  EXPECT_FALSE(view->Dataset("")->has_value());
  EXPECT_FALSE(view->Dataset(std::string(5000, 'x'))->has_value());
  EXPECT_FALSE(view->Get(1, "")->has_value());
  EXPECT_FALSE(view->Get(1, std::string(5000, 'x'))->has_value());
  EXPECT_FALSE(view->Get(77, "a")->has_value());
  EXPECT_EQ(*store_->LastSequence(""), 0u);
  EXPECT_EQ(*store_->LastSequence(std::string(5000, 'x')), 0u);
}

// --- directories that are not ours -------------------------------------------------------------

void PutMeta(const std::string& dir, std::string_view name, std::string_view value) {
  auto env = common::lmdb::Env::Open({.dir = dir});
  ASSERT_TRUE(env.ok()) << env.status();
  const common::lmdb::Dbi meta = *env->OpenDatabase("meta");
  auto txn = *env->BeginWrite();
  ASSERT_TRUE(txn.Put(meta, name, value).ok());
  ASSERT_TRUE(txn.Commit().ok());
}

void ExpectRefused(const std::string& dir, std::string_view named) {
  const auto store = LmdbStore::Open({.dir = dir, .map_bytes = 1 << 30});
  EXPECT_EQ(store.status().code(), StatusCode::kFailedPrecondition) << store.status();
  EXPECT_NE(store.status().ToString().find(named), std::string::npos) << store.status();
}

TEST_F(LmdbStoreTest, RefusesANewerFormat) {
  store_.reset();
  PutMeta(dir_.path(), layout::kMetaFormat, layout::EncodeNumber32(layout::kFormat + 1));
  ExpectRefused(dir_.path(), "has format 4, this version reads formats 2 and 3");
  PutMeta(dir_.path(), layout::kMetaFormat, layout::EncodeNumber32(layout::kFormat));
  Reopen();
}

TEST_F(LmdbStoreTest, BringsTheFormatBeforeUpToDate) {
  Declare(testing::DeclareDataset("d", "o"));
  Publish(MakeBatch("p", 1, {Put("d", "a", "1")}));
  store_.reset();
  for (int i = 0; i < 3; ++i) std::filesystem::remove(fmt::format("{}/redo.{}", dir_.path(), i));
  PutMeta(dir_.path(), layout::kMetaFormat, layout::EncodeNumber32(layout::kFormatWithoutLog));
  Reopen();
  EXPECT_EQ(*store_->LastSequence("p"), 1u);
  const auto txn = *store_->env().BeginRead();
  EXPECT_EQ(*txn.Get(store_->tables().meta, layout::kMetaFormat),
            layout::EncodeNumber32(layout::kFormat));
}

TEST(LmdbStoreOpenTest, RefusesAnotherProgramsDirectory) {
  const testing::TestDir kind;
  PutMeta(kind.path(), "kind", "agent");
  ExpectRefused(kind.path(), "agent");
  const testing::TestDir unknown;
  PutMeta(unknown.path(), "something", "else");
  ExpectRefused(unknown.path(), "--data-dir");
  const testing::TestDir copies;
  {
    auto env = common::lmdb::Env::Open({.dir = copies.path()});
    ASSERT_TRUE(env.ok());
    ASSERT_TRUE(env->OpenDatabase("copies").ok());
  }
  ExpectRefused(copies.path(), "--data-dir");
}

// --- a full map ---------------------------------------------------------------------------------

TEST(LmdbStoreFullTest, AFullMapRefusesWholeAndRecovers) {
  const testing::TestDir dir;
  auto store = testing::OpenStore(dir.path(), 1 << 20);
  Group group;
  group.declarations.push_back(testing::DeclareDataset("d", "o"));
  ASSERT_TRUE(store->Commit(group).ok());
  std::uint64_t sequence = 0;
  common::Status full;
  while (full.ok()) {
    Group fill;
    for (int i = 0; i < 4; ++i) {
      ++sequence;
      fill.batches.push_back(
          MakeBatch("p", sequence, {Put("d", std::to_string(sequence), std::string(3000, 'v'))}));
    }
    full = store->Commit(fill).status();
    ASSERT_LT(sequence, 1000u);
  }
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted) << full;
  const std::uint64_t applied = sequence - 4;
  EXPECT_EQ(*store->LastSequence("p"), applied);
  EXPECT_EQ((*(*store->OpenView())->Dataset("d"))->entries, applied);
  ASSERT_TRUE(CheckLmdbStore(*store).ok()) << CheckLmdbStore(*store);

  store.reset();  // more room: the same batches go in
  store = testing::OpenStore(dir.path(), 8 << 20);
  Group again;
  again.batches.push_back(MakeBatch("p", applied + 1, {Put("d", "x", std::string(9000, 'v'))}));
  const auto outcomes = store->Commit(again);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_TRUE(outcomes->front().changed);
  EXPECT_TRUE(CheckLmdbStore(*store).ok()) << CheckLmdbStore(*store);
}

// Goal: whatever fills the map, and however often, what only removes is taken at once, and after
// the tombstones are gone there is room again.
TEST(LmdbStoreFullTest, RemovalsGetThroughTimeAndAgain) {
  const testing::TestDir dir;
  const auto store = testing::OpenStore(dir.path(), 2 << 20);
  Group declare;
  declare.declarations.push_back(testing::DeclareDataset("d", "o"));
  ASSERT_TRUE(store->Commit(declare).ok());
  std::uint64_t sequence = 0;
  const auto commit = [&](Write write) {
    Group group;
    group.now_ms = 1'000;
    group.batches.push_back(MakeBatch("p", ++sequence, {std::move(write)}));
    group.batches.back().settled = sequence - 1;
    return store->Commit(group).status();
  };
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t bytes : {300u, 3'000u, 10'000u, 100'000u}) {
      SCOPED_TRACE(fmt::format("round {}, {} bytes", round, bytes));
      int count = 0;
      for (int refused = 0; refused < 3;) {
        const common::Status put =
            commit(Put("d", fmt::format("{:05}", count * 7919 % 10'007), std::string(bytes, 'v')));
        refused = put.ok() ? 0 : refused + 1;
        count += put.ok();
      }
      EXPECT_GT(static_cast<std::size_t>(count) * (bytes + 200), std::size_t{2 << 20} / 3);
      for (int i = 0; i < count; ++i) {
        ASSERT_TRUE(commit(Del("d", fmt::format("{:05}", i * 7919 % 10'007))).ok()) << i;
      }
      EXPECT_EQ((*(*store->OpenView())->Dataset("d"))->entries, 0u);
      for (bool more = true; more;) {
        const auto step = store->Compact(2'000, 0, 500);
        ASSERT_TRUE(step.ok()) << step.status();
        more = *step;
      }
      ASSERT_TRUE(CheckLmdbStore(*store).ok()) << CheckLmdbStore(*store);
    }
  }
}

TEST(LmdbStoreFullTest, ACommitThatDoesNotFitHarmsNoLaterOne) {
  const testing::TestDir dir;
  const auto store = testing::OpenStore(dir.path(), 1 << 20);
  Group group;
  group.declarations.push_back(testing::DeclareDataset("d", "o"));
  group.batches.push_back(MakeBatch("p", 1, {Put("d", "a", "1")}));
  ASSERT_TRUE(store->Commit(group).ok());
  Group big;
  big.batches.push_back(MakeBatch("p", 2, {Put("d", "b", std::string(2 << 20, 'v'))}));
  big.declarations.push_back(testing::DeclareDataset("e", "o"));
  EXPECT_EQ(store->Commit(big).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store->catalog()->FindDataset("e"), nullptr);
  Group small;
  small.batches.push_back(MakeBatch("p", 2, {Put("d", "b", "2")}));
  const auto outcomes = store->Commit(small);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_TRUE(outcomes->front().changed);
  EXPECT_TRUE(CheckLmdbStore(*store).ok()) << CheckLmdbStore(*store);
}

}  // namespace
}  // namespace cp
