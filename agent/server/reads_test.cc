// Sessions whose reads local copies cannot answer yet: strong reads, bounds, tokens, waits, and
// writes that are answered when the own copy has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using common::ConsistencyLevel;
using common::Mode;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

class ReadsTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    Load("ds", {"a", "b"});
    Declare({.collection = {"ds", ""}, .proven_at = clock_.now - milliseconds(100)});
  }

  // What the agent carries, as the sync thread would say it.
  void Declare(CopyStatus copy) {
    copies_[copy.collection] = std::move(copy);
    auto status = std::make_shared<AgentStatus>();
    status->wanted_known = true;
    for (const auto& [collection, one] : copies_) status->copies.push_back(one);
    board_.Put(std::move(status));
    parts_->snapshot.Release();
  }
  void DeclareThrough(const std::string& dataset) {
    Declare({.collection = {dataset, ""}, .mode = Mode::kReadThrough});
  }

  // Answers the oldest question: "key=value", or "key" for one that is absent.
  std::string Answer(
      const std::vector<std::pair<std::string, std::optional<std::string>>>& entries) {
    ReadAnswer answer{.status = common::OkStatus(),
                      .entries = {},
                      .epoch = 1,
                      .as_of = clock_.now - milliseconds(3)};
    for (const auto& [key, value] : entries) {
      answer.entries.push_back({.key = key,
                                .found = value.has_value(),
                                .value = value.value_or(""),
                                .version = {1, 77}});
    }
    return Tell(std::move(answer));
  }
  std::string Fail(common::StatusCode code, const std::string& why) {
    return Tell({.status = common::Error(code, "{}", why), .entries = {}});
  }
  std::string Tell(ReadAnswer answer) {
    const Asked first = std::move(asked_.front());
    asked_.pop_front();
    parts_->snapshot.Release();
    session_->OnAnswer(first.ticket, first.question.dataset, std::move(answer));
    return Output();
  }
  // As the server does after a commit, or when a deadline has come.
  std::string EndWaits() {
    parts_->snapshot.Release();
    for (const Waits::Over& over : parts_->waits.TakeOver(
             [this](const WaitTarget& target) { return parts_->snapshot.Reached(target); },
             clock_.now)) {
      session_->OnWaitOver(over.ticket, over.in_time);
    }
    return Output();
  }

  std::map<common::Collection, CopyStatus> copies_;
};

// --- strong reads and read-through
// ----------------------------------------------------------------

TEST_F(ReadsTest, StrongReadAsksTheControlPlane) {
  EXPECT_EQ(Send("TRIB.GET ds/a STRONG TIMEOUT 40\r\n"), "");
  ASSERT_EQ(asked_.size(), 1u);
  const ReadQuestion& question = asked_.front().question;
  EXPECT_EQ(question.kind, ReadQuestion::Kind::kStrong);
  EXPECT_EQ(question.dataset, "ds");
  EXPECT_EQ(question.keys, std::vector<std::string>{"a"});
  EXPECT_EQ(question.deadline, clock_.now + milliseconds(40));
  EXPECT_EQ(Answer({{"a", "new"}}), Bulk("new"));
}

TEST_F(ReadsTest, MetaTellsTheSource) {
  Send("TRIB.GET ds/a STRONG WITHMETA\r\n");
  EXPECT_EQ(Answer({{"a", "new"}}), "*4\r\n$3\r\nnew\r\n:77\r\n:3\r\n" + Bulk("control-plane"));
  EXPECT_EQ(Send("TRIB.GET ds/a WITHMETA\r\n"),
            "*4\r\n$2\r\nva\r\n:10\r\n:100\r\n" + Bulk("cache"));
}

TEST_F(ReadsTest, EveryReadCommandWorksThroughTheControlPlane) {
  DeclareThrough("far");
  struct Case {
    const char* command;
    const char* reply;
  };
  for (const Case& c : {Case{"GET far/k", "$5\r\nhello\r\n"}, Case{"STRLEN far/k", ":5\r\n"},
                        Case{"EXISTS far/k", ":1\r\n"}, Case{"GETRANGE far/k 1 2", "$2\r\nel\r\n"},
                        Case{"TYPE far/k", "+string\r\n"}, Case{"TTL far/k", ":-1\r\n"},
                        Case{"MGET far/k ds/a", "*2\r\n$5\r\nhello\r\n$2\r\nva\r\n"}}) {
    SCOPED_TRACE(c.command);
    EXPECT_EQ(Send(std::string(c.command) + "\r\n"), "");
    EXPECT_EQ(Answer({{"k", "hello"}}), c.reply);
  }
  EXPECT_EQ(Send("GET far/none\r\n"), "");
  EXPECT_EQ(Answer({{"none", std::nullopt}}), "$-1\r\n");
}

TEST_F(ReadsTest, RepliesKeepTheirOrderAndReadsGoSideBySide) {
  DeclareThrough("far");
  EXPECT_EQ(Send("GET far/1\r\nGET ds/a\r\nGET far/2\r\nGET ds/b\r\n"), "");
  ASSERT_EQ(asked_.size(), 2u);
  std::swap(asked_[0], asked_[1]);
  EXPECT_EQ(Answer({{"2", "two"}}), "");
  EXPECT_EQ(Answer({{"1", "one"}}), "$3\r\none\r\n$2\r\nva\r\n$3\r\ntwo\r\n$2\r\nvb\r\n");
}

TEST_F(ReadsTest, AWriteDoesNotOvertakeARead) {
  DeclareThrough("far");
  EXPECT_EQ(Send("GET far/1\r\nSET ds/a x\r\n"), "");
  EXPECT_TRUE(submitted_.empty());
  EXPECT_EQ(Answer({{"1", "one"}}), "$3\r\none\r\n");
  EXPECT_EQ(submitted_.size(), 1u);
}

TEST_F(ReadsTest, FailuresAreNamed) {
  struct Case {
    common::StatusCode code;
    const char* word;
  };
  for (const Case& c : {Case{common::StatusCode::kUnavailable, "-UNAVAILABLE "},
                        Case{common::StatusCode::kResourceExhausted, "-UNAVAILABLE "},
                        Case{common::StatusCode::kDeadlineExceeded, "-TIMEOUT "},
                        Case{common::StatusCode::kPermissionDenied, "-NOPERM "},
                        Case{common::StatusCode::kNotFound, "-NODATASET "},
                        Case{common::StatusCode::kOutOfRange, "-TOOBIG "}}) {
    Send("TRIB.GET ds/a STRONG\r\n");
    EXPECT_THAT(Fail(c.code, "why"), StartsWith(c.word));
  }
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");  // a plain read is not concerned
}

TEST_F(ReadsTest, OneFailedQuestionFailsTheCommand) {
  DeclareThrough("far");
  DeclareThrough("near");
  EXPECT_EQ(Send("MGET far/1 near/1\r\n"), "");
  EXPECT_EQ(Fail(common::StatusCode::kUnavailable, "x"), "");
  EXPECT_THAT(Answer({{"1", "one"}}), StartsWith("-UNAVAILABLE "));
}

TEST_F(ReadsTest, NotInsideATransaction) {
  DeclareThrough("far");
  EXPECT_THAT(Send("MULTI\r\nGET far/1\r\nGET ds/a\r\nEXEC\r\n"),
              HasSubstr("*2\r\n-ERR a read inside MULTI is answered by local copies only"));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(ReadsTest, AClientThatLeavesWhileItsReadIsUnderWay) {
  DeclareThrough("far");
  Send("GET far/1\r\n");
  session_.reset();
  EXPECT_TRUE(parts_->services.sessions.empty());
}

// --- bounds
// -----------------------------------------------------------------------------------------

TEST_F(ReadsTest, BoundOfARead) {
  EXPECT_EQ(Send("TRIB.GET ds/a MAXSTALE 100\r\n"), "$2\r\nva\r\n");
  clock_.now += milliseconds(1);
  EXPECT_THAT(Send("TRIB.GET ds/a MAXSTALE 100\r\n"),
              StartsWith("-STALE the copy of dataset ds is behind 101 ms, bound 100 ms"));
  EXPECT_EQ(Send("TRIB.GET ds/a\r\n"), "$2\r\nva\r\n");
  EXPECT_THAT(Send("TRIB.MGET ds/a ds/none MAXSTALE 5\r\n"), HasSubstr("bound 5 ms"));
}

TEST_F(ReadsTest, UnknownAgeIsNeverFresh) {
  Declare({.collection = {"ds", ""}});
  EXPECT_THAT(Send("TRIB.GET ds/a MAXSTALE 2592000000\r\n"), StartsWith("-STALE "));
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");
}

TEST_F(ReadsTest, ConsistencyOfTheConnectionHoldsForPlainReads) {
  EXPECT_EQ(Send("TRIB.CONSISTENCY BOUNDED 100\r\n"), "+OK\r\n");
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");
  clock_.now += milliseconds(1);
  for (const char* command : {"GET ds/a", "MGET ds/a", "EXISTS ds/a", "STRLEN ds/a", "TYPE ds/a",
                              "GETRANGE ds/a 0 1", "TTL ds/a", "PTTL ds/a", "TRIB.GET ds/a"}) {
    EXPECT_THAT(Send(std::string(command) + "\r\n"), StartsWith("-STALE ")) << command;
  }
  EXPECT_EQ(Send("TRIB.GET ds/a MAXSTALE 200\r\n"), "$2\r\nva\r\n");  // the read's own word counts
  EXPECT_EQ(Send("TRIB.CONSISTENCY STRONG\r\n"), "+OK\r\n");
  EXPECT_EQ(Send("GET ds/a\r\n"), "");
  EXPECT_EQ(Answer({{"a", "x"}}), "$1\r\nx\r\n");
  EXPECT_EQ(Send("TRIB.CONSISTENCY DEFAULT\r\nGET ds/a\r\n"), "+OK\r\n$2\r\nva\r\n");
  EXPECT_THAT(Send("TRIB.CONSISTENCY STRONG\r\nRESET\r\nGET ds/a\r\n"), HasSubstr("$2\r\nva\r\n"));
}

TEST_F(ReadsTest, ConsistencyOfTheSubscription) {
  CopyStatus copy{.collection = {"ds", ""}, .proven_at = clock_.now - milliseconds(600)};
  copy.consistency = {ConsistencyLevel::kBounded, milliseconds(500), common::OnStale::kError};
  Declare(copy);
  EXPECT_THAT(Send("GET ds/a\r\n"), HasSubstr("behind 600 ms, bound 500 ms"));
  EXPECT_EQ(Send("TRIB.CONSISTENCY EVENTUAL\r\nGET ds/a\r\n"), "+OK\r\n$2\r\nva\r\n");
  Send("TRIB.CONSISTENCY DEFAULT\r\n");
  copy.consistency.on_stale = common::OnStale::kReadThrough;
  Declare(copy);
  EXPECT_EQ(Send("GET ds/a\r\n"), "");
  EXPECT_EQ(Answer({{"a", "x"}}), "$1\r\nx\r\n");
  copy.consistency.on_stale = common::OnStale::kServe;
  Declare(copy);
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");
}

TEST_F(ReadsTest, WhyItCannotBeReadComesFirst) {
  Declare({.collection = {"cold", ""}});
  ASSERT_TRUE(writer_->Add({"cold", ""}).ok());
  EXPECT_THAT(Send("TRIB.GET cold/a MAXSTALE 5\r\n"), StartsWith("-LOADING "));
  EXPECT_THAT(Send("TRIB.GET nosuch/a STRONG\r\n"), StartsWith("-NOTSUBSCRIBED "));
  EXPECT_THAT(Send("TRIB.GET nosuch/a MINREV 5\r\n"), StartsWith("-NOTSUBSCRIBED "));
}

TEST_F(ReadsTest, ListingNeedsAWholeFreshCopy) {
  DeclareThrough("far");
  EXPECT_EQ(Send("KEYS ds/a\r\n"), "*1\r\n$4\r\nds/a\r\n");
  EXPECT_THAT(Send("KEYS far/*\r\n"), HasSubstr("-ERR the keys of dataset far cannot be listed"));
  EXPECT_THAT(Send("SCAN 0 MATCH far/*\r\n"), HasSubstr("cannot be listed here"));
  EXPECT_THAT(Send("SCAN 0\r\n"), HasSubstr("ds/b"));
  Send("TRIB.CONSISTENCY BOUNDED 50\r\n");
  EXPECT_THAT(Send("SCAN 0\r\n"), StartsWith("-STALE "));
  Send("TRIB.CONSISTENCY STRONG\r\n");
  EXPECT_THAT(Send("KEYS ds/*\r\n"), HasSubstr("cannot be listed here"));
}

// --- tokens
// -----------------------------------------------------------------------------------------

TEST_F(ReadsTest, MinRevWaitsForTheCopy) {
  EXPECT_EQ(Send("TRIB.GET ds/a MINREV 10\r\n"), "$2\r\nva\r\n");
  EXPECT_EQ(Send("TRIB.GET ds/a MINREV 11 TIMEOUT 50\r\nGET ds/a\r\n"), "");
  EXPECT_EQ(EndWaits(), "");
  Put("ds", "a", "later");
  EXPECT_EQ(EndWaits(), Bulk("later") + Bulk("later"));  // what came behind it has waited too
}

TEST_F(ReadsTest, MinRevThatDoesNotCome) {
  EXPECT_EQ(Send("TRIB.GET ds/a MINREV 999 TIMEOUT 50\r\n"), "");
  clock_.now += milliseconds(50);
  EXPECT_THAT(EndWaits(), StartsWith("-TIMEOUT "));
}

TEST_F(ReadsTest, TokenOfAnotherEpochIsRefused) {
  EXPECT_THAT(Send("TRIB.GET ds/a MINREV 00000000abcd.5\r\n"),
              HasSubstr("-ERR token 00000000abcd.5 is of another epoch"));
  EXPECT_THAT(Send("TRIB.WAIT ds 00000000abcd.5 100\r\n"), HasSubstr("is of another epoch"));
}

TEST_F(ReadsTest, Wait) {
  EXPECT_EQ(Send("TRIB.WAIT ds 10 0\r\n"), "+OK\r\n");
  EXPECT_EQ(Send("TRIB.WAIT ds 11 100\r\nPING\r\n"), "");
  Put("ds", "a", "x");
  EXPECT_EQ(EndWaits(), "+OK\r\n+PONG\r\n");
  EXPECT_EQ(Send("TRIB.WAIT ds 12 100\r\n"), "");
  clock_.now += milliseconds(100);
  EXPECT_THAT(EndWaits(), StartsWith("-TIMEOUT "));
  EXPECT_THAT(Send("TRIB.WAIT ds x 100\r\n"), HasSubstr("-ERR rev must be a revision"));
  EXPECT_THAT(Send("TRIB.WAIT ds 5 -1\r\n"), HasSubstr("-ERR timeout must be"));
  EXPECT_THAT(Send("TRIB.WAIT nosuch 5 10\r\n"), StartsWith("-NOTSUBSCRIBED "));
  DeclareThrough("far");
  EXPECT_EQ(Send("TRIB.WAIT far 5 10\r\n"), "+OK\r\n");
}

// --- writes
// -----------------------------------------------------------------------------------------

TEST_F(ReadsTest, AWriteIsAnsweredWhenTheOwnCopyShowsIt) {
  EXPECT_EQ(Send("SET ds/a new\r\nGET ds/a\r\n"), "");
  EXPECT_EQ(SettleOk(11), "");  // durable, but a reader here would not see it
  Put("ds", "a", "new");
  EXPECT_EQ(EndWaits(), "+OK\r\n$3\r\nnew\r\n");
  EXPECT_EQ(Send("SET ds/a newer\r\n"), "");
  Put("ds", "a", "newer");
  EXPECT_EQ(SettleOk(12), "+OK\r\n");  // the copy was faster
}

TEST_F(ReadsTest, AWriteThatIsNotShownInTimeSaysSo) {
  Send("SET ds/a new\r\n");
  SettleOk(11);
  clock_.now += parts_->services.write_visible_max;
  EXPECT_THAT(EndWaits(), StartsWith("-TIMEOUT the write is durable at abcdef012345.11"));
  EXPECT_EQ(Send("TRIB.LASTREV\r\n"), Bulk("abcdef012345.11"));
}

TEST_F(ReadsTest, NobodyWaitsForACopyThatIsNotThere) {
  Send("SET other/a new\r\n");
  EXPECT_EQ(SettleOk(11), "+OK\r\n");
  DeclareThrough("far");
  Send("SET far/a new\r\n");
  EXPECT_EQ(SettleOk(12), "+OK\r\n");
  Send("SET ds/a new\r\n");
  EXPECT_THAT(SettleError(common::StatusCode::kUnavailable, "x"), StartsWith("-UNAVAILABLE "));
}

// --- switching modes
// ----------------------------------------------------------------------------------

TEST_F(ReadsTest, ACopyThatWentWhileItsStatusWasReadIsNotMissed) {
  // The status says replicate, the copy is removed, and only then the read takes its snapshot: the
  // status that tells of the change was put before, so the read goes by that.
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");
  DeclareThrough("ds");
  ASSERT_TRUE(writer_->Remove({"ds", ""}).ok());
  EXPECT_EQ(Send("GET ds/a\r\n"), "");
  EXPECT_EQ(Answer({{"a", "x"}}), "$1\r\nx\r\n");
}

TEST_F(ReadsTest, AReadThatWasUnderWayIsAnsweredAfterTheSwitch) {
  DeclareThrough("ds");
  EXPECT_EQ(Send("GET ds/a\r\n"), "");
  Declare({.collection = {"ds", ""}, .proven_at = clock_.now});
  EXPECT_EQ(Answer({{"a", "x"}}), "$1\r\nx\r\n");
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");
}

// --- reads that only look -----------------------------------------------------------------------

TEST_F(ReadsTest, WhatWasJustWrittenHereIsNotReadOlder) {
  shared_.recent_writes.Note("ds", "a", At(revision_ + 5), clock_.now);
  EXPECT_EQ(Send("GET ds/b\r\n"), Bulk("vb"));
  EXPECT_EQ(Send("GET ds/a\r\n"), "");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(Answer({{"a", "newer"}}), Bulk("newer"));
  EXPECT_EQ(Send("MGET ds/b ds/a\r\n"), "");
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(ReadsTest, TheNeedOfOneCommandIsNotThatOfTheNext) {
  EXPECT_EQ(Send("TRIB.GET ds/a\r\nTRIB.CONSISTENCY STRONG\r\nGET ds/a\r\n"),
            Bulk("va") + "+OK\r\n");
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(ReadsTest, AGetIsCountedAndShownHoweverItIsAnswered) {
  EXPECT_EQ(Send("GET ds/a\r\nGET ds/none\r\nGET ds/b\r\n"), Bulk("va") + "$-1\r\n" + Bulk("vb"));
  const auto& gets =
      parts_->services.stats
          .commands[CommandTable::IndexOf(*parts_->services.commands.FindByName("GET"))];
  EXPECT_EQ(gets.calls.Get(), 3u);
  EXPECT_EQ(gets.reads[static_cast<std::size_t>(ReadResult::kHit)].Get(), 2u);
  EXPECT_EQ(gets.reads[static_cast<std::size_t>(ReadResult::kMiss)].Get(), 1u);
  EXPECT_EQ(parts_->services.stats.commands_total.Get(), 3u);
  EXPECT_EQ(Send("PING\r\nGET ds/a\r\n"), "+PONG\r\n" + Bulk("va"));
  EXPECT_EQ(session_->client().last_command, "GET");
  EXPECT_THAT(Send("GET ds/a ds/b\r\n"), HasSubstr("wrong number of arguments for 'get'"));
}

}  // namespace
}  // namespace agent
