// What a write may depend on – conditions, old values, checks, expiry – one by one; all together
// under random load: store_model_test.cc.
#include <gtest/gtest.h>

#include "control-plane/store/backup.h"
#include "control-plane/store/check.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

using common::StatusCode;
using testing::Del;
using testing::MakeBatch;
using testing::Put;

Write PutIn(std::string key, std::string value, std::int64_t in_ms) {
  Write write = Put("d", std::move(key), std::move(value));
  write.expiry.in_ms = in_ms;
  return write;
}
Write PutIf(Condition condition, std::string key, std::string value) {
  Write write = Put("d", std::move(key), std::move(value));
  write.condition = condition;
  return write;
}

class ConditionsTest : public ::testing::Test {
 protected:
  ConditionsTest() {
    Group group;
    group.declarations = {testing::DeclareDataset("d", "o"), testing::DeclareDataset("e", "o")};
    group.now_ms = now_ms_;
    CHECK(store_->Commit(group).ok());
  }
  void TearDown() override { EXPECT_TRUE(CheckLmdbStore(*store_).ok()) << CheckLmdbStore(*store_); }

  Outcome Publish(std::vector<Write> writes, std::vector<Check> checks = {}) {
    Batch batch = MakeBatch("p", ++sequence_, std::move(writes));
    batch.checks = std::move(checks);
    return Send(batch);
  }
  Outcome Send(const Batch& batch) {
    Group group;
    group.batches = {batch};
    group.now_ms = now_ms_;
    const auto outcomes = store_->Commit(group);
    CHECK(outcomes.ok());
    return outcomes->at(0);
  }
  // "value" or "value@expiry"; absent: no row.
  std::optional<std::string> Row(const std::string& key) {
    const auto view = *store_->OpenView();
    const auto stored = *view->Get((*view->Dataset("d"))->id, key);
    if (!stored) return std::nullopt;
    const common::EntryView entry = common::EntryOfResource(stored->resource);
    const std::string at =
        entry.expires_at_ms == 0 ? "" : fmt::format("@{}", entry.expires_at_ms - now_ms_);
    return std::string(entry.value) + at;
  }
  common::Version VersionOf(const std::string& key) {
    const auto view = *store_->OpenView();
    return (*view->Get((*view->Dataset("d"))->id, key))->version;
  }
  DatasetState State(const std::string& name = "d") {
    const auto view = *store_->OpenView();
    return **view->Dataset(name);
  }
  std::uint64_t Expire(std::size_t count_max = 100) {
    const auto expired = store_->Expire(now_ms_, count_max);
    CHECK(expired.ok());
    return expired->entries;
  }
  void Reopen() {
    store_.reset();
    store_ = testing::OpenStore(dir_.path());
  }

  testing::TestDir dir_;
  std::unique_ptr<LmdbStore> store_ = testing::OpenStore(dir_.path());
  std::uint64_t sequence_ = 0;
  std::int64_t now_ms_ = 1'000'000;
};

TEST_F(ConditionsTest, IfAbsentAndIfPresent) {
  EXPECT_EQ(Publish({PutIf(Condition::kIfPresent, "k", "1")}).skipped, "\x01");
  EXPECT_EQ(Row("k"), std::nullopt);
  EXPECT_EQ(Publish({PutIf(Condition::kIfAbsent, "k", "2")}).skipped, "");
  EXPECT_EQ(Publish({PutIf(Condition::kIfAbsent, "k", "3")}).skipped, "\x01");
  EXPECT_EQ(Row("k"), "2");
  EXPECT_EQ(Publish({PutIf(Condition::kIfPresent, "k", "4")}).skipped, "");
  EXPECT_EQ(Row("k"), "4");
}

TEST_F(ConditionsTest, ASkippedWriteChangesNothingAndTellsTheHead) {
  const Revision head = Publish({Put("d", "k", "1")}).revision;
  const Outcome outcome = Publish({PutIf(Condition::kIfAbsent, "k", "2")});
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_FALSE(outcome.changed);
  EXPECT_EQ(outcome.revision, head);
  EXPECT_EQ(State().head, head);
}

// Each write sees those before it in its batch; bits are counted from the least significant.
TEST_F(ConditionsTest, WritesOfABatchAreDecidedOneByOne) {
  std::vector<Write> writes = {PutIf(Condition::kIfAbsent, "a", "1"),
                               PutIf(Condition::kIfAbsent, "a", "2"), Del("d", "a"), Del("d", "a"),
                               PutIf(Condition::kIfAbsent, "a", "3")};
  for (int i = 0; i < 4; ++i) writes.push_back(PutIf(Condition::kIfPresent, "no", "x"));
  const Outcome outcome = Publish(std::move(writes));
  EXPECT_EQ(outcome.skipped, "\xEA\x01");
  EXPECT_EQ(outcome.deleted, 1u);
  EXPECT_EQ(Row("a"), "3");
}

TEST_F(ConditionsTest, OldValues) {
  Write get = Put("d", "k", "2");
  get.return_old = true;
  EXPECT_TRUE(Publish({get}).old.empty());
  get.value = "3";
  get.condition = Condition::kIfAbsent;
  const Outcome skipped = Publish({Put("d", "j", "1"), get});
  ASSERT_EQ(skipped.old.size(), 1u);
  EXPECT_EQ(skipped.old[0], (std::pair<std::uint32_t, std::string>(1, "2")));
  EXPECT_EQ(skipped.skipped, "\x02");
  EXPECT_EQ(Row("k"), "2");
}

TEST_F(ConditionsTest, RetriesGetTheFirstAnswer) {
  Write write = PutIf(Condition::kIfAbsent, "k", "1");
  write.return_old = true;
  const Batch first = MakeBatch("q", 1, {write});
  EXPECT_EQ(Send(first).skipped, "");
  EXPECT_EQ(Send(first).skipped, "") << "not decided anew";
  EXPECT_EQ(Send(MakeBatch("q", 2, {write})).skipped, "\x01");
  Reopen();
  const Outcome again = Send(MakeBatch("q", 2, {write}));
  EXPECT_EQ(again.skipped, "\x01");
  ASSERT_EQ(again.old.size(), 1u);
  EXPECT_EQ(again.old[0].second, "1");
  EXPECT_FALSE(again.changed);
}

// Old values are kept for retries within a bound; beyond it a retry says what is known.
TEST_F(ConditionsTest, OldValuesOfRetriesAreBounded) {
  const std::string big(kOutcomeOldBytesKept / 2 + 1, 'x');
  Publish({Put("d", "k", big)});
  Write write = Put("d", "k", big);
  write.return_old = true;
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    EXPECT_EQ(Send(MakeBatch("q", sequence, {write})).old.at(0).second, big);
  }
  EXPECT_EQ(Send(MakeBatch("q", 3, {write})).old.size(), 1u);
  const Outcome lost = Send(MakeBatch("q", 1, {write}));
  EXPECT_EQ(lost.status.code(), StatusCode::kDataLoss);
  EXPECT_NE(common::Message(lost.status).find("was applied at revision"), std::string::npos);
}

TEST_F(ConditionsTest, ChecksHoldOrNothingIsApplied) {
  Publish({Put("d", "k", "1")});
  const common::Version seen = VersionOf("k");
  EXPECT_TRUE(
      Publish({Put("d", "j", "1")}, {{.dataset = "d", .key = "k", .version = seen}}).status.ok());
  Publish({Put("d", "k", "2")});
  const Revision head = State().head;
  const Outcome late = Publish({Put("d", "j", "2"), Put("d", "i", "2")},
                               {{.dataset = "d", .key = "k", .version = seen}});
  EXPECT_EQ(late.status.code(), StatusCode::kAborted);
  EXPECT_EQ(State().head, head);
  EXPECT_EQ(Row("j"), "1");
  // Absence is checked as well; another epoch's version is another version.
  const auto absent = [](const char* key) { return Check{.dataset = "d", .key = key}; };
  EXPECT_TRUE(Publish({Put("d", "new", "1")}, {absent("new")}).status.ok());
  EXPECT_EQ(Publish({Put("d", "new", "2")}, {absent("new")}).status.code(), StatusCode::kAborted);
  const common::Version other{seen.epoch + 1, VersionOf("k").revision};
  EXPECT_EQ(
      Publish({Put("d", "j", "3")}, {{.dataset = "d", .key = "k", .version = other}}).status.code(),
      StatusCode::kAborted);
  // A retry of what was refused is refused, even if it would hold now.
  Batch batch = MakeBatch("q", 1, {Put("d", "j", "4")});
  batch.checks = {absent("k")};
  EXPECT_EQ(Send(batch).status.code(), StatusCode::kAborted);
  Publish({Del("d", "k")});
  EXPECT_EQ(Send(batch).status.code(), StatusCode::kAborted);
}

// Goal: an absence that was watched is an absence all the time, or the batch is not applied.
TEST_F(ConditionsTest, WhatCameAndWentHasChanged) {
  const auto since = [this](Revision revision, Epoch off = 0) {
    return Check{.dataset = "d",
                 .key = "k",
                 .absent_since = common::Version{store_->epoch() + off, revision}};
  };
  const auto holds = [this](const Check& check) {
    return Publish({Put("d", "other", "1")}, {check}).status.ok();
  };
  const Revision at = State().head;
  EXPECT_TRUE(holds(since(at)));
  EXPECT_FALSE(holds(since(at, 1))) << "another history";
  EXPECT_FALSE(holds(since(at - 1))) << "the dataset was not there yet";
  Publish({Put("d", "k", "1")});
  EXPECT_FALSE(holds(since(State().head))) << "it is there";
  const Revision gone = Publish({Del("d", "k")}).revision;
  EXPECT_FALSE(holds(since(gone - 1)));
  EXPECT_TRUE(holds(since(gone)));
  Reopen();
  EXPECT_FALSE(holds(since(gone - 1)));
  Publish({Del("d", "k")});
  EXPECT_TRUE(holds(since(gone))) << "a delete that finds nothing is no change";
  EXPECT_TRUE(Publish({Put("d", "other", "1")}, {{.dataset = "d", .key = "k"}}).status.ok())
      << "whoever does not say since when is asking about now";
}

TEST_F(ConditionsTest, WhatCameAndExpiredHasChanged) {
  const auto holds = [this](Revision revision) {
    const Check check{
        .dataset = "d", .key = "k", .absent_since = common::Version{store_->epoch(), revision}};
    return Publish({Put("d", "other", "1")}, {check}).status.ok();
  };
  const Revision before = State().head;
  const Revision came = Publish({PutIn("k", "1", 10)}).revision;
  now_ms_ += 10;
  EXPECT_FALSE(holds(before)) << "not swept yet";
  EXPECT_TRUE(holds(came)) << "seen by someone who knows the time: absent already";
  EXPECT_EQ(Expire(), 1u);
  EXPECT_FALSE(holds(before));
  EXPECT_FALSE(holds(came)) << "its tombstone does not tell from what it is left";
  EXPECT_TRUE(holds(State().head));
}

// Tombstones are collected: what lies below the floor is not known any more.
TEST_F(ConditionsTest, AnAbsenceBelowTheFloorIsNotKnown) {
  const auto holds = [this](Revision revision) {
    const Check check{
        .dataset = "d", .key = "k", .absent_since = common::Version{store_->epoch(), revision}};
    return Publish({Put("d", "other", "1")}, {check}).status.ok();
  };
  const Revision before = State().head;
  Publish({Put("d", "k", "1")});
  const Revision gone = Publish({Del("d", "k")}).revision;
  ASSERT_TRUE(store_->Compact(now_ms_ + 1, 0, 1000).ok());
  ASSERT_EQ(State().tombstones, 0u);
  EXPECT_FALSE(holds(before));
  EXPECT_TRUE(holds(gone)) << "the floor itself is known";
  const Check unborn{
      .dataset = "gone", .key = "k", .absent_since = common::Version{store_->epoch(), gone}};
  EXPECT_EQ(Publish({Put("d", "other", "1")}, {unborn}).status.code(), StatusCode::kAborted)
      << "a dataset that was purged";
}

TEST_F(ConditionsTest, EntriesExpireAtTheirTimeAndNotBefore) {
  Publish({PutIn("a", "1", 100), PutIn("b", "1", 200), Put("d", "c", "1")});
  EXPECT_EQ(store_->next_expiry_ms(), now_ms_ + 100);
  EXPECT_EQ(Row("a"), "1@100");
  now_ms_ += 99;
  EXPECT_EQ(Expire(), 0u);
  now_ms_ += 1;
  const DatasetState before = State();
  EXPECT_EQ(Expire(), 1u);
  EXPECT_EQ(Row("a"), std::nullopt);
  EXPECT_EQ(State().head, before.head + 1);
  EXPECT_EQ(State().tombstones, 1u);
  EXPECT_EQ(store_->next_expiry_ms(), now_ms_ + 100);
  Reopen();
  EXPECT_EQ(store_->next_expiry_ms(), now_ms_ + 100);
  now_ms_ += 1000;
  EXPECT_EQ(Expire(), 1u);
  EXPECT_EQ(Expire(), 0u);
  EXPECT_EQ(store_->next_expiry_ms(), std::nullopt);
  EXPECT_EQ(Row("c"), "1");
}

// Until it is swept, an expired entry is absent to every write.
TEST_F(ConditionsTest, WritesTakeExpiredEntriesForAbsent) {
  Publish({PutIn("k", "1", 10), PutIn("l", "1", 10), PutIn("m", "1", 10), PutIn("n", "1", 10)});
  const common::Version seen = VersionOf("k");
  now_ms_ += 10;
  EXPECT_EQ(Publish({PutIf(Condition::kIfPresent, "k", "2")}).skipped, "\x01");
  EXPECT_EQ(Publish({Del("d", "k")}).deleted, 0u);
  EXPECT_EQ(
      Publish({Put("d", "x", "")}, {{.dataset = "d", .key = "k", .version = seen}}).status.code(),
      StatusCode::kAborted);
  Write get = Put("d", "l", "2");
  get.return_old = true;
  EXPECT_TRUE(Publish({get}).old.empty());
  Write keep = Put("d", "m", "2");
  keep.expiry.keep = true;
  Publish({keep, PutIf(Condition::kIfAbsent, "n", "2")});
  EXPECT_EQ(Row("l"), "2");
  EXPECT_EQ(Row("m"), "2") << "there is no expiry to be kept";
  EXPECT_EQ(Row("n"), "2");
  EXPECT_EQ(Expire(), 1u) << "only k is left of the old ones";
}

TEST_F(ConditionsTest, APutReplacesTheExpiry) {
  Publish({PutIn("a", "1", 10), PutIn("b", "1", 10), PutIn("c", "1", 10)});
  Write keep = Put("d", "c", "2");
  keep.expiry.keep = true;
  Publish({Put("d", "a", "2"), PutIn("b", "2", 50), keep});
  now_ms_ += 10;
  EXPECT_EQ(Expire(), 1u);
  EXPECT_EQ(Row("a"), "2");
  EXPECT_EQ(Row("b"), "2@40");
  EXPECT_EQ(Row("c"), std::nullopt);
}

TEST_F(ConditionsTest, AnExpiryInThePastDeletes) {
  Publish({Put("d", "k", "1")});
  Write past = Put("d", "k", "2");
  past.expiry.at_ms = now_ms_;
  const Outcome outcome = Publish({past});
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.skipped, "");
  EXPECT_EQ(outcome.deleted, 0u) << "it was no delete";
  EXPECT_EQ(Row("k"), std::nullopt);
  EXPECT_EQ(State().tombstones, 1u);
  const Outcome again = Publish({past});
  EXPECT_EQ(again.skipped, "");
  EXPECT_FALSE(again.changed);
}

TEST_F(ConditionsTest, ManyExpireInStepsAcrossDatasets) {
  std::vector<Write> writes;
  for (int i = 0; i < 50; ++i) {
    writes.push_back(PutIn(std::to_string(i), "v", 10));
    writes.push_back(PutIn(std::to_string(i), "v", 10));
    writes.back().dataset = "e";
  }
  Publish(std::move(writes));
  now_ms_ += 10;
  EXPECT_EQ(Expire(30), 30u);
  EXPECT_EQ(Expire(30), 30u);
  EXPECT_EQ(Expire(100), 40u);
  EXPECT_EQ(State("d").entries + State("e").entries, 0u);
  EXPECT_EQ(State("e").tombstones, 50u);
}

// Rows of the index go with their dataset.
TEST_F(ConditionsTest, PurgedDatasetsLeaveNoExpiries) {
  Publish({PutIn("a", "1", 1'000'000)});
  Group withdraw;
  withdraw.declarations = {testing::WithdrawDataset("d")};
  withdraw.now_ms = now_ms_;
  ASSERT_TRUE(store_->Commit(withdraw).ok());
  for (bool more = true; more;) more = *store_->Compact(now_ms_ + 1, 100, 1000);
  now_ms_ += 2'000'000;
  EXPECT_EQ(Expire(), 0u);
  EXPECT_EQ(store_->next_expiry_ms(), std::nullopt);
}

}  // namespace
}  // namespace cp
