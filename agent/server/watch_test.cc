// WATCH: what EXEC lets the control plane check, and when it need not ask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/server/session_fixture.h"
#include "common/read_limits.h"

namespace agent {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class WatchTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    Load("ds", {"a", "b"});  // at revision 10
  }
  void DeclareThrough(const std::string& dataset) {
    auto status = std::make_shared<AgentStatus>();
    status->wanted_known = true;
    status->copies.push_back({.collection = {dataset, ""}, .mode = common::Mode::kReadThrough});
    board_.Put(std::move(status));
  }
  std::string Answer(const std::string& key, const std::string& value, common::Version version) {
    const Asked first = std::move(asked_.front());
    asked_.pop_front();
    session_->OnAnswer(
        first.ticket, first.question.dataset,
        {.status = common::OkStatus(),
         .entries = {{.key = key, .found = true, .value = value, .version = version}},
         .epoch = kEpoch,
         .as_of = clock_.now});
    return Output();
  }
  // There is no such key as of `head`; {}: it is not said as of when.
  std::string AnswerAbsent(const std::string& key, common::Version head) {
    const Asked first = std::move(asked_.front());
    asked_.pop_front();
    session_->OnAnswer(first.ticket, first.question.dataset,
                       {.status = common::OkStatus(),
                        .entries = {{.key = key, .version = head}},
                        .epoch = kEpoch,
                        .as_of = clock_.now});
    return Output();
  }
  std::string Fail(common::StatusCode code, const char* why) {
    const Asked first = std::move(asked_.front());
    asked_.pop_front();
    session_->OnAnswer(first.ticket, first.question.dataset,
                       {.status = common::Error(code, "{}", why), .entries = {}});
    return Output();
  }
  // "ds/a@10 ds/x@-9" of the batch submitted last: a as of revision 10, x absent since 9.
  std::string LastChecks() const {
    std::string text;
    for (const SocketCheck& check : submitted_.back().checks) {
      if (!text.empty()) text += " ";
      text += check.dataset + "/" + check.key + "@";
      text += check.version ? std::to_string(check.version->revision)
                            : fmt::format("-{}", check.absent_since.revision);
    }
    return text;
  }
  std::string Try() { return Send("MULTI\r\nSET ds/z 1\r\nEXEC\r\n"); }
};

const std::string kQueued = "+OK\r\n+QUEUED\r\n";

TEST_F(WatchTest, WhatWasSeenIsChecked) {
  EXPECT_EQ(Send("WATCH ds/a ds/none\r\nWATCH ds/b\r\nWATCH ds/a\r\nGET ds/a\r\n"),
            "+OK\r\n+OK\r\n+OK\r\n$2\r\nva\r\n");
  EXPECT_EQ(Try(), kQueued);
  EXPECT_EQ(LastBatch(), "ds/z=1");
  EXPECT_EQ(LastChecks(), "ds/a@10 ds/b@10 ds/none@-10");
  EXPECT_EQ(submitted_.back().checks.back().absent_since.epoch, kEpoch);
  EXPECT_EQ(SettleOk(20), "*1\r\n+OK\r\n");
  EXPECT_EQ(Try(), kQueued);
  EXPECT_EQ(LastChecks(), "") << "EXEC has forgotten them";
}

TEST_F(WatchTest, AChangeIsToldAsNil) {
  Send("WATCH ds/a\r\n");
  Try();
  EXPECT_EQ(SettleError(common::StatusCode::kAborted, "changed"), "*-1\r\n");
  Send("HELLO 3\r\nWATCH ds/a\r\n");
  Try();
  EXPECT_EQ(SettleError(common::StatusCode::kAborted, "changed"), "_\r\n");
  Send("WATCH ds/a\r\n");
  Try();
  EXPECT_THAT(SettleError(common::StatusCode::kUnavailable, "away"), StartsWith("-UNAVAILABLE"));
}

TEST_F(WatchTest, Forgotten) {
  for (const char* how :
       {"UNWATCH", "RESET", "MULTI\r\nDISCARD", "MULTI\r\nNOSUCH\r\nEXEC", "MULTI\r\nEXEC"}) {
    SCOPED_TRACE(how);
    EXPECT_EQ(Send("WATCH ds/a\r\n"), "+OK\r\n");
    Send(std::string(how) + "\r\n");
    Try();
    EXPECT_EQ(LastChecks(), "");
    SettleOk(20);
  }
}

// What EXEC publishes may rest on what was read: one version of each watched key, or nothing.
TEST_F(WatchTest, AKeySeenAtTwoVersionsNeedsNoQuestion) {
  for (const char* read :
       {"GET ds/a", "MGET ds/b ds/a", "EXISTS ds/a", "WATCH ds/a", "TRIB.GET ds/a WITHMETA"}) {
    SCOPED_TRACE(read);
    EXPECT_EQ(Send("WATCH ds/a ds/b\r\n"), "+OK\r\n");
    Put("ds", "a", "newer");
    Send(std::string(read) + "\r\n");
    EXPECT_EQ(Try(), kQueued + "*-1\r\n");
    EXPECT_TRUE(submitted_.empty());
  }
  Send("WATCH ds/new\r\n");
  Put("ds", "new", "1");
  Send("GET ds/new\r\n");
  EXPECT_EQ(Try(), kQueued + "*-1\r\n");
}

TEST_F(WatchTest, AReadOnlyTransactionLooksHere) {
  const std::string exec = "MULTI\r\nGET ds/a\r\nEXEC\r\n";
  Send("WATCH ds/a ds/none\r\n");
  EXPECT_EQ(Send(exec), kQueued + "*1\r\n$2\r\nva\r\n");
  Send("WATCH ds/none\r\n");
  Put("ds", "none", "1");
  EXPECT_EQ(Send(exec), kQueued + "*-1\r\n");
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(WatchTest, ThroughTheControlPlane) {
  DeclareThrough("far");
  // The read must not overtake: it would rest on an older state than what is checked.
  EXPECT_EQ(Send("WATCH far/k\r\nGET far/k\r\n"), "");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(Answer("k", "5", At(30)), "+OK\r\n");
  EXPECT_EQ(Answer("k", "5", At(30)), "$1\r\n5\r\n");
  Send("MULTI\r\nSET far/k 6\r\nEXEC\r\n");
  EXPECT_EQ(LastChecks(), "far/k@30");
  SettleOk(31);
  Send("WATCH far/k\r\n");
  Answer("k", "6", At(31));
  Send("GET far/k\r\n");
  Answer("k", "7", At(32));
  EXPECT_EQ(Try(), kQueued + "*-1\r\n");
  Send("WATCH far/k\r\n");
  Answer("k", "7", At(32));
  EXPECT_THAT(Send("MULTI\r\nPING\r\nEXEC\r\n"),
              HasSubstr("-ERR a transaction that only reads looks at watched keys in local"));
}

TEST_F(WatchTest, AnOwnerNeedsNoCopy) {
  EXPECT_EQ(Send("WATCH own/k ds/a\r\n"), "");
  EXPECT_EQ(asked_.front().question.kind, ReadQuestion::Kind::kStrong);
  EXPECT_EQ(Answer("k", "5", At(30)), "+OK\r\n");
  Send("MULTI\r\nSET own/k 6\r\nEXEC\r\n");
  EXPECT_EQ(LastChecks(), "ds/a@10 own/k@30");
  SettleOk(31);
}

// What came and went since must be noticed, so an absence is dated by whoever has told it.
TEST_F(WatchTest, AnAbsenceIsDatedByTheCopy) {
  Put("ds", "other", "1");  // at 11: the copy has come further since none was there
  Send("WATCH ds/none\r\n");
  Put("ds", "other", "2");
  Send("WATCH ds/none ds/later\r\nGET ds/none\r\n");
  Try();
  EXPECT_EQ(LastChecks(), "ds/later@-12 ds/none@-11") << "what was seen first counts";
}

TEST_F(WatchTest, AnAbsenceIsDatedByTheControlPlane) {
  EXPECT_EQ(Send("WATCH own/k ds/a\r\n"), "");
  EXPECT_EQ(AnswerAbsent("k", At(30)), "+OK\r\n");
  Send("MULTI\r\nSET own/k 6\r\nEXEC\r\n");
  EXPECT_EQ(LastChecks(), "ds/a@10 own/k@-30");
}

TEST_F(WatchTest, AnAbsenceOnDemandIsDated) {
  const common::Collection keys{"od", ""};
  ASSERT_TRUE(writer_->Add(keys, /*by_name=*/true).ok());
  Change absent{.key = "held", .version = At(20), .entry = {}};
  absent.absent = true;
  ASSERT_TRUE(writer_->Apply(keys, {&absent, 1}, At(15)).ok());
  Send("WATCH od/held\r\n");
  EXPECT_EQ(asked_.size(), 0u);
  EXPECT_EQ(Send("WATCH od/k\r\n"), "");
  EXPECT_EQ(asked_.front().question.kind, ReadQuestion::Kind::kOnDemand);
  EXPECT_EQ(AnswerAbsent("k", At(21)), "+OK\r\n");
  Send("MULTI\r\nSET od/k 6\r\nEXEC\r\n");
  EXPECT_EQ(LastChecks(), "od/held@-20 od/k@-21");
}

// E.g. held on disk since before dates were kept, or told by a foreign server.
TEST_F(WatchTest, AnAbsenceWithoutADateIsAskedFor) {
  const common::Collection keys{"od", ""};
  ASSERT_TRUE(writer_->Add(keys, /*by_name=*/true).ok());
  Change absent{.key = "held", .version = {}, .entry = {}};
  absent.absent = true;
  ASSERT_TRUE(writer_->Apply(keys, {&absent, 1}, {}).ok());
  EXPECT_EQ(Send("WATCH od/held\r\n"), "");
  EXPECT_EQ(asked_.front().question.kind, ReadQuestion::Kind::kStrong);
  EXPECT_EQ(AnswerAbsent("held", At(22)), "+OK\r\n");
  EXPECT_EQ(Send("WATCH od/k\r\n"), "");
  EXPECT_EQ(asked_.front().question.kind, ReadQuestion::Kind::kOnDemand);
  EXPECT_EQ(AnswerAbsent("k", {}), "");
  EXPECT_EQ(asked_.front().question.kind, ReadQuestion::Kind::kStrong);
  EXPECT_EQ(AnswerAbsent("k", At(23)), "+OK\r\n");
  Send("MULTI\r\nSET od/k 6\r\nEXEC\r\n");
  EXPECT_EQ(LastChecks(), "od/held@-22 od/k@-23");
}

TEST_F(WatchTest, WhatCannotBeWatched) {
  EXPECT_EQ(Send("MULTI\r\nWATCH ds/a\r\nSET ds/a 1\r\nEXEC\r\n"),
            "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n");
  EXPECT_EQ(SettleOk(20), "*1\r\n+OK\r\n");
  EXPECT_EQ(Send("WATCH ds/a other/x\r\n"), "");
  EXPECT_THAT(Fail(common::StatusCode::kPermissionDenied, "no"), StartsWith("-NOPERM"));
  EXPECT_EQ(Send("WATCH other/x\r\n"), "");
  EXPECT_THAT(Fail(common::StatusCode::kNotFound, "none"), StartsWith("-NODATASET"));
  EXPECT_THAT(Send("WATCH x\r\n"), StartsWith("-ERR key must be <dataset>/<key>"));
  Try();
  EXPECT_EQ(LastChecks(), "") << "all or nothing";
  SettleOk(21);
  std::string array = "*" + std::to_string(common::kWatchedKeysMax + 2) + "\r\n$5\r\nWATCH\r\n";
  for (std::size_t i = 0; i <= common::kWatchedKeysMax; ++i) {
    const std::string key = "ds/" + std::to_string(i);
    array += "$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
  }
  EXPECT_THAT(Send(array), StartsWith("-TOOBIG 10001 watched keys; at most 10000 are allowed"));
}

TEST_F(WatchTest, WaitsForWritesUnderWay) {
  EXPECT_EQ(Send("SET ds/a 1\r\nWATCH ds/a\r\n"), "");
  Put("ds", "a", "1");
  EXPECT_EQ(SettleOk(11), "+OK\r\n+OK\r\n");
  Try();
  EXPECT_EQ(LastChecks(), "ds/a@11");
}

}  // namespace
}  // namespace agent
