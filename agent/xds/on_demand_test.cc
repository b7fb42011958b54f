// On-demand copies: the names' life as a plain object, then with cache, protocol and a scripted
// server.
#include "agent/xds/on_demand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/xds/sync_fixture.h"
#include "agent/xds/sync_limits.h"

namespace agent {
namespace {

using common::Collection;
using common::DeltaRequest;
using common::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

const Collection kCopy{.dataset = "prices", .prefix = ""};

class OnDemandTest : public testing::Test {
 protected:
  OnDemandTest() { demand_.AddCopy(kCopy); }

  OnDemand::Asked Ask(const Strings& keys, seconds patience = seconds(5)) {
    DemandQuestion question{
        .dataset = "prices", .keys = keys, .deadline = now_ + patience, .done = {}};
    question.done = [this](const DemandAnswer& answer) { answers_.push_back(answer); };
    return demand_.Ask(std::move(question), now_);
  }
  void Store(const std::string& key, std::size_t bytes) {
    demand_.Stored({kCopy, key}, bytes, false, now_);
    demand_.Tell({kCopy, key}, {.key = key, .found = true, .value = "v"}, now_);
  }
  void Use(const std::string& key, int times) {
    for (int i = 0; i < times; ++i) sketch_.Touch(AccessSketch::Hash("prices", key));
  }

  AccessSketch sketch_;
  OnDemandLimits limits_{.names = 10, .bytes = 10'000, .idle = seconds(60), .absence = seconds(30)};
  OnDemand demand_{limits_, sketch_, 1};
  common::MonotonicTime now_{seconds(1000)};
  std::vector<DemandAnswer> answers_;
};

TEST_F(OnDemandTest, AThousandQuestionsAreOneSubscription) {
  std::size_t subscribed = 0;
  for (int i = 0; i < 1000; ++i) subscribed += Ask({"k"}).subscribe.size();
  EXPECT_EQ(subscribed, 1u);
  Store("k", 5);
  ASSERT_EQ(answers_.size(), 1000u);
  for (const DemandAnswer& answer : answers_) {
    ASSERT_TRUE(answer.status.ok());
    EXPECT_EQ(answer.entries.at(0).value, "v");
  }
}

TEST_F(OnDemandTest, AQuestionForSeveralKeysWaitsForAllAndKeepsTheirOrder) {
  EXPECT_EQ(Ask({"b", "a", "b"}).subscribe.size(), 2u);
  Store("a", 1);
  EXPECT_TRUE(answers_.empty());
  demand_.Stored({kCopy, "b"}, 1, true, now_);
  demand_.Tell({kCopy, "b"}, {.key = "b"}, now_);
  ASSERT_EQ(answers_.size(), 1u);
  ASSERT_EQ(answers_[0].entries.size(), 3u);
  EXPECT_FALSE(answers_[0].entries[0].found);
  EXPECT_EQ(answers_[0].entries[0].key, "b");
  EXPECT_TRUE(answers_[0].entries[1].found);
  EXPECT_FALSE(answers_[0].entries[2].found);
}

TEST_F(OnDemandTest, WhatIsHeldIsToldWithoutASubscription) {
  Ask({"k"});
  Store("k", 5);
  const auto again = Ask({"k"});
  EXPECT_TRUE(again.subscribe.empty());
  EXPECT_EQ(again.tell, (std::vector<HeldName>{{kCopy, "k"}}));
}

TEST_F(OnDemandTest, ADeadlineAnswersTheQuestionNotTheName) {
  Ask({"k"}, seconds(1));
  now_ += seconds(1);
  EXPECT_TRUE(demand_.Sweep(now_).empty());
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), StatusCode::kDeadlineExceeded);
  Store("k", 5);
  EXPECT_EQ(answers_.size(), 1u) << "once";
  EXPECT_TRUE(demand_.Ask({.dataset = "prices", .keys = {"k"}, .done = [](DemandAnswer) {}}, now_)
                  .subscribe.empty());
}

TEST_F(OnDemandTest, ALostStreamAnswersAllAndForgetsWhatHadNoValue) {
  Ask({"k", "l"});
  Store("k", 5);
  EXPECT_EQ(demand_.FailAll(common::Error(StatusCode::kUnavailable, "lost")).size(), 1u);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Ask({"l"}).subscribe.size(), 1u);
  EXPECT_TRUE(Ask({"k"}).subscribe.empty());
}

TEST_F(OnDemandTest, KeysThatNoCopyCoversAreRefused) {
  demand_.Ask({.dataset = "other",
               .keys = {"k"},
               .done = [this](const DemandAnswer& answer) { answers_.push_back(answer); }},
              now_);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), StatusCode::kFailedPrecondition);
}

TEST_F(OnDemandTest, IdleNamesGo) {
  Use("k", 1);
  Ask({"k"});
  Store("k", 5);
  for (int second = 0; second < 59; ++second) sketch_.Tick();
  EXPECT_TRUE(demand_.Sweep(now_).empty());
  Use("k", 1);
  for (int second = 0; second < 59; ++second) sketch_.Tick();
  EXPECT_TRUE(demand_.Sweep(now_).empty()) << "it was read";
  sketch_.Tick();
  sketch_.Tick();
  EXPECT_EQ(demand_.Sweep(now_), (std::vector<HeldName>{{kCopy, "k"}}));
  EXPECT_EQ(demand_.names(), 0u);
  EXPECT_EQ(demand_.bytes(), 0u);
}

TEST_F(OnDemandTest, AnAbsenceEndsWithItsTime) {
  Use("k", 1);
  Ask({"k"});
  demand_.Stored({kCopy, "k"}, 1, true, now_);
  demand_.Tell({kCopy, "k"}, {.key = "k"}, now_);
  now_ += seconds(29);
  EXPECT_TRUE(demand_.Sweep(now_).empty());
  now_ += seconds(1);
  EXPECT_EQ(demand_.Sweep(now_).size(), 1u);
}

TEST_F(OnDemandTest, ANewcomerMustBeWorthMoreThanWhoIsThere) {
  for (int i = 0; i < 10; ++i) {
    const std::string key = std::to_string(i);
    Use(key, 20);
    Ask({key});
    Store(key, 10);
  }
  EXPECT_TRUE(demand_.Sweep(now_).empty());
  for (int i = 0; i < 100; ++i) {  // a scan of keys that are read once
    const std::string key = fmt::format("once-{}", i);
    Use(key, 1);
    Ask({key});
    Store(key, 10);
    EXPECT_EQ(demand_.Sweep(now_), (std::vector<HeldName>{{kCopy, key}}));
  }
  Use("popular", 30);
  Ask({"popular"});
  Store("popular", 10);
  const auto gone = demand_.Sweep(now_);
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_NE(gone[0].key, "popular");
}

TEST_F(OnDemandTest, BytesAreABoundToo) {
  for (int i = 0; i < 8; ++i) {
    const std::string key = std::to_string(i);
    Use(key, i + 1);
    Ask({key});
    Store(key, 2'000);
    demand_.Sweep(now_);
    EXPECT_LE(demand_.bytes(), limits_.bytes);
  }
  EXPECT_EQ(demand_.names(), 5u);
}

// --- with all the rest --------------------------------------------------------------------------

class ByNameTest : public SyncFixture {
 protected:
  static std::string NameOf(const std::string& key) { return common::EntryName("prices", key); }
  void SetUp() override {
    SyncFixture::SetUp();
    sync_.subscribe = {*common::ParseSubscribeFlag("prices:onDemand")};
  }
  void TearDown() override { SyncFixture::TearDown(); }
  // Answers are written down as "<key>=<value>", "<key>=-", or a status code.
  void Ask(const Strings& keys) {
    DemandQuestion question{
        .dataset = "prices", .keys = keys, .deadline = clock_.now + seconds(5), .done = {}};
    question.done = [this](const DemandAnswer& answer) {
      if (!answer.status.ok()) told_.push_back(absl::StatusCodeToString(answer.status.code()));
      for (const DemandEntry& entry : answer.entries) {
        told_.push_back(entry.key + "=" + (entry.found ? entry.value : "-"));
        versions_.push_back(entry.version);
      }
    };
    std::vector<DemandQuestion> questions;
    questions.push_back(std::move(question));
    core_->OnAsked(std::move(questions));
    core_->Tick();
  }
  Strings Told() { return std::exchange(told_, {}); }
  // a = 1 is held, b is known not to exist.
  void Hold() {
    Connect();
    server_.requests.clear();
    Ask({"a", "b"});
    EXPECT_EQ(FirstEntryRequest().subscribe, (Strings{NameOf("a"), NameOf("b")}));
    Respond(Entries("n").Entry("prices", "a", At(5), "1").Remove(NameOf("b")));
    EXPECT_EQ(EntryAnswer(), "ACK n");
    ASSERT_EQ(Told(), (Strings{"a=1", "b=-"}));
  }
  const std::string sentinel_ = NameOf(std::string(1, '\0'));
  std::vector<common::Version> versions_;  // of all that was told

 private:
  Strings told_;
};

TEST_F(ByNameTest, NothingIsSubscribedButASentinelUntilSomethingIsRead) {
  Connect();
  EXPECT_EQ(FirstEntryRequest().subscribe, Strings{sentinel_});
  EXPECT_EQ(Get("prices", "a"), "<not held>");
  EXPECT_EQ(Status().phase, CopyPhase::kSynced);
}

TEST_F(ByNameTest, AMissIsAskedOnceHeldAndKeptFresh) {
  Hold();
  EXPECT_EQ(Get("prices", "a"), "1");
  EXPECT_EQ(Get("prices", "b"), "<none>");
  EXPECT_EQ(Get("prices", "c"), "<not held>");
  Respond(Entries("m").Entry("prices", "a", At(6), "2").Entry("prices", "b", At(6), "now"));
  EXPECT_EQ(Get("prices", "a"), "2");
  EXPECT_EQ(Get("prices", "b"), "now") << "an absence is replaced by push";
  Respond(Entries("o").Remove(NameOf("a")));
  EXPECT_EQ(Get("prices", "a"), "<none>");
  Ask({"b"});
  EXPECT_EQ(Told(), Strings{"b=now"}) << "asked before it was seen: told without the server";
}

// A write waits until its own copy holds its revision: also that of a removal must be known, or a
// DEL would wait for the next proof.
TEST_F(ByNameTest, ARemovalSaysAsOfWhenThereIsNone) {
  Hold();
  const auto reach = [this](const char* key) {
    EXPECT_TRUE(reader_->Refresh().ok());
    const auto at = reader_->ReachOf("prices", key);
    reader_->Release();
    return at.value_or(common::Version{});
  };
  Respond(Entries("f").AsOf(At(8)).Remove(NameOf("b")));
  EXPECT_EQ(reach("b"), common::Version()) << "whatever a foreign server writes there";
  Respond(Entries("m").From("tributary").AsOf(At(9)).Remove(NameOf("a")));
  EXPECT_EQ(reach("a"), At(9));
  listener_.changed.clear();
  Respond(Entries("o").From("tributary").AsOf(At(12)).Remove(NameOf("a")));
  EXPECT_EQ(reach("a"), At(12));
  EXPECT_EQ(listener_.changed, Strings()) << "absent as before: nobody is told";
  versions_.clear();
  Ask({"a", "c"});
  Respond(Entries("p").From("tributary").AsOf(At(13)).Remove(NameOf("c")));
  EXPECT_EQ(versions_, (std::vector<common::Version>{At(12), At(13)}));
  Respond(Entries("q").From("tributary").AsOf(At(14)).Entry("prices", "a", At(14), "2"));
  EXPECT_EQ(reach("a"), At(14));
  EXPECT_EQ(listener_.changed, (Strings{"del prices/c", "set prices/a"}));
}

TEST_F(ByNameTest, WhatNobodyAskedForIsNotHeld) {
  Hold();
  Respond(Entries("m").Entry("prices", "z", At(6), "2"));
  EXPECT_EQ(EntryAnswer(), "ACK m");
  EXPECT_EQ(Get("prices", "z"), "<not held>");
}

TEST_F(ByNameTest, QuestionsOfOneTurnShareARequest) {
  Connect();
  server_.requests.clear();
  std::vector<DemandQuestion> questions;
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    questions.push_back(
        {.dataset = "prices",
         .keys = {fmt::format("k{:02}", i % 50)},
         .deadline = clock_.now + seconds(5),
         .done = [&](const DemandAnswer& answer) { answered += answer.status.ok(); }});
  }
  core_->OnAsked(std::move(questions));
  core_->Tick();
  EXPECT_EQ(FirstEntryRequest().subscribe.size(), 50u);
  EXPECT_FALSE(server_.Take(common::kEntryType));
  ResponseBuilder response = Entries("n");
  for (int i = 0; i < 50; ++i) response.Entry("prices", fmt::format("k{:02}", i), At(5), "v");
  Respond(response);
  EXPECT_EQ(answered, 100);
}

TEST_F(ByNameTest, NamesSurviveARestartAndAreVerified) {
  Hold();
  core_.reset();
  server_.requests.clear();
  Reopen();
  OpenStream();
  const auto asked = clock_.now;
  EXPECT_EQ(Get("prices", "a"), "1");
  EXPECT_FALSE(Status().proven_at.has_value()) << "not yet verified: not fresh";
  const DeltaRequest request = FirstEntryRequest();
  EXPECT_EQ(request.subscribe, (Strings{sentinel_, NameOf("a"), NameOf("b")}));
  EXPECT_EQ(Versions(request), (std::map<std::string, std::string>{{"a", "abcdef012345.5"}}));
  clock_.now += milliseconds(100);
  Respond(Entries("n").Entry("prices", "a", At(9), "new").Remove(NameOf("b")));
  Respond(Entries("s").Remove(sentinel_));
  EXPECT_EQ(Get("prices", "a"), "new");
  EXPECT_EQ(Status().proven_at, asked);
}

TEST_F(ByNameTest, ASentinelProvesFreshnessOncePerInterval) {
  Hold();
  Respond(Entries("s").Remove(sentinel_));
  Respond(ResponseBuilder(common::kDatasetStateType, "d").State("prices", At(7), {}));
  server_.requests.clear();
  After(milliseconds(1100));
  const auto asked = clock_.now;
  EXPECT_EQ(FirstEntryRequest().subscribe, Strings{sentinel_});
  clock_.now += milliseconds(50);
  Respond(Entries("s2").Remove(sentinel_));
  EXPECT_EQ(Status().proven_at, asked);
  EXPECT_EQ(Status().cursor, At(7)) << "the head that was known when it was asked";
}

TEST_F(ByNameTest, OutOfReachIsSaidAtOnceAndHeldKeysAreStillServed) {
  Hold();
  Ask({"c"});
  EXPECT_TRUE(Told().empty());
  Lose();
  EXPECT_EQ(Told(), Strings{"UNAVAILABLE"});
  Ask({"c"});
  EXPECT_EQ(Told(), Strings{"UNAVAILABLE"});
  EXPECT_EQ(Get("prices", "a"), "1");
  Connect();
  Ask({"c"});
  Respond(Entries("n").Entry("prices", "c", At(8), "3"));
  EXPECT_EQ(Told(), Strings{"c=3"});
}

TEST_F(ByNameTest, ASilentServerMeansAbsent) {
  Hold();
  Ask({"c"});
  After(seconds(6));
  EXPECT_EQ(Told(), Strings{"DEADLINE_EXCEEDED"});
  After(seconds(10));
  EXPECT_EQ(Get("prices", "c"), "<none>");
}

TEST_F(ByNameTest, AnAbsenceIsForgottenAfterItsTime) {
  Hold();
  server_.requests.clear();
  After(sync_.on_demand.absence + seconds(1));
  EXPECT_EQ(Get("prices", "b"), "<not held>");
  bool left = false;
  while (const auto request = server_.Take(common::kEntryType)) {
    left |= request->unsubscribe == Strings{NameOf("b")};
  }
  EXPECT_TRUE(left);
  Respond(Entries("late").Entry("prices", "b", At(9), "late"));
  EXPECT_EQ(Get("prices", "b"), "<not held>") << "an update that was under way";
}

TEST_F(ByNameTest, AGrantTakenBackErasesAndComesBackEmpty) {
  Hold();
  Respond(ResponseBuilder(common::kDatasetStateType, "d")
              .Error("xdstp:///tributary.v1.DatasetState/prices", StatusCode::kPermissionDenied));
  EXPECT_EQ(Get("prices", "a"), "<no permission>");
  After(kEraseDelay + seconds(1));
  Respond(ResponseBuilder(common::kDatasetStateType, "e").State("prices", At(7), {}));
  EXPECT_EQ(Get("prices", "a"), "<not held>");
  server_.requests.clear();
  Ask({"a"});
  EXPECT_EQ(FirstEntryRequest().subscribe, Strings{NameOf("a")});
}

TEST_F(ByNameTest, AMixedSubscriptionIsReplicated) {
  Hold();
  sync_.subscribe.push_back(*common::ParseSubscribeFlag("prices"));
  core_.reset();
  server_.requests.clear();
  Reopen();
  Connect();
  EXPECT_EQ(FirstEntryRequest().subscribe, Strings{"xdstp:///tributary.v1.Entry/prices/*"});
  EXPECT_EQ(Get("prices", "a"), "<loading>");
  Begin(kPrices, At(9));
  Respond(Entries("n").Entry("prices", "q", At(9), "2").Complete(kPrices, At(9)));
  EXPECT_EQ(Scan("prices"), "q");
}

}  // namespace
}  // namespace agent
