// Order of replies, writes under way, transactions, output limits, subscriptions.
#include "agent/server/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SessionTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    Load("ds", {"a", "b"});
  }
};

// --- writes -------------------------------------------------------------------------------------

TEST_F(SessionTest, AWriteIsAnsweredByItsOutcome) {
  EXPECT_EQ(Send("SET ds/x 1\r\n"), "");
  EXPECT_EQ(LastBatch(), "ds/x=1");
  EXPECT_EQ(SettleOk(20), "+OK\r\n");
  EXPECT_EQ(Send("TRIB.LASTREV\r\n"), "$15\r\nabcdef012345.20\r\n");
  EXPECT_EQ(Send("MSET ds/x 1 other/y 2\r\n"), "");
  EXPECT_EQ(LastBatch(), "ds/x=1 other/y=2");
  EXPECT_EQ(SettleOk(21), "+OK\r\n");
  EXPECT_EQ(Send("DEL ds/x ds/y ds/z\r\n"), "");
  EXPECT_EQ(LastBatch(), "ds/x=- ds/y=- ds/z=-");
  EXPECT_EQ(SettleOk(22, /*skipped=*/{1}), ":2\r\n");
  EXPECT_EQ(Send("UNLINK ds/x\r\n"), "");
  EXPECT_EQ(SettleOk(23, {0}), ":0\r\n");
}

TEST_F(SessionTest, FailedWritesSayWhy) {
  struct Case {
    common::StatusCode code;
    const char* reply;
  };
  for (const Case& c : {Case{common::StatusCode::kPermissionDenied, "-READONLY why\r\n"},
                        Case{common::StatusCode::kNotFound, "-NODATASET why\r\n"},
                        Case{common::StatusCode::kOutOfRange, "-TOOBIG why\r\n"},
                        Case{common::StatusCode::kUnavailable, "-UNAVAILABLE why\r\n"},
                        Case{common::StatusCode::kDeadlineExceeded, "-UNAVAILABLE why\r\n"},
                        Case{common::StatusCode::kResourceExhausted, "-FULL why\r\n"},
                        Case{common::StatusCode::kInvalidArgument, "-ERR why\r\n"}}) {
    Send("SET ds/x 1\r\n");
    EXPECT_EQ(SettleError(c.code, "why"), c.reply);
  }
  EXPECT_EQ(Send("TRIB.LASTREV\r\n"), "$-1\r\n");
}

TEST_F(SessionTest, WritesBeyondStaticLimitsAreRefusedHere) {
  const std::string big(common::kValueBytesMax + 1, 'x');
  EXPECT_THAT(Send("*3\r\n$3\r\nSET\r\n$4\r\nds/x\r\n$" + std::to_string(big.size()) + "\r\n" +
                   big + "\r\n"),
              StartsWith("-TOOBIG value of 1048577 bytes; at most 1048576"));
  EXPECT_THAT(Send("SET ds/" + std::string(401, 'k') + " 1\r\n"), StartsWith("-TOOBIG key of 401"));
  EXPECT_EQ(Send("SET x 1\r\n"), "-ERR key must be <dataset>/<key>\r\n");
  std::string many = "*65538\r\n$3\r\nDEL\r\n";
  for (int i = 0; i < 65'537; ++i) many += "$4\r\nds/x\r\n";
  EXPECT_THAT(Send(many), StartsWith("-TOOBIG batch of 65537 entries"));
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(SessionTest, WritesPipelineAndReadsWaitForThem) {
  EXPECT_EQ(Send("SET ds/x 1\r\nSET ds/y 2\r\nGET ds/a\r\nSET ds/z 3\r\n"), "");
  EXPECT_EQ(submitted_.size(), 2u);
  EXPECT_TRUE(session_->paused());
  EXPECT_EQ(SettleOk(20), "+OK\r\n");
  EXPECT_EQ(SettleOk(21), "+OK\r\n$2\r\nva\r\n");
  EXPECT_EQ(submitted_.size(), 1u);
  EXPECT_FALSE(session_->paused());
  EXPECT_EQ(SettleOk(22), "+OK\r\n");
}

TEST_F(SessionTest, RepliesStayInOrderWhateverComesBehindAWrite) {
  EXPECT_EQ(Send("SET ds/x 1\r\nNOSUCH\r\nSET x 1\r\nSET ds/y 1\r\nGET\r\n"), "");
  EXPECT_THAT(SettleOk(20), StartsWith("+OK\r\n-ERR unknown command 'NOSUCH'"));
  EXPECT_EQ(SettleOk(21), "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n");
}

TEST_F(SessionTest, OutcomesOutOfOrderAreAnsweredInOrder) {
  Send("SET ds/x 1\r\nDEL ds/y\r\n");
  std::swap(submitted_[0], submitted_[1]);
  EXPECT_EQ(SettleOk(21), "");
  EXPECT_EQ(SettleOk(20), "+OK\r\n:1\r\n");
}

TEST_F(SessionTest, TooManyWritesUnderWayPauseTheClient) {
  std::string many;
  for (std::size_t i = 0; i <= common::kPendingWritesPerClientMax; ++i) many += "SET ds/x 1\r\n";
  EXPECT_EQ(Send(many), "");
  EXPECT_EQ(submitted_.size(), common::kPendingWritesPerClientMax);
  EXPECT_TRUE(session_->paused());
  EXPECT_EQ(SettleOk(20), "+OK\r\n");
  EXPECT_EQ(submitted_.size(), common::kPendingWritesPerClientMax);
  EXPECT_FALSE(session_->paused());
}

// --- transactions -------------------------------------------------------------------------------

TEST_F(SessionTest, ATransactionIsOneBatchAndItsReadsComeAfter) {
  EXPECT_EQ(Send("MULTI\r\nSET ds/x 1\r\nGET ds/a\r\nDEL ds/b\r\nPING\r\nMSET ds/y 2 ds/z 3\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  EXPECT_EQ(Send("EXEC\r\n"), "");
  EXPECT_EQ(LastBatch(), "ds/x=1 ds/b=- ds/y=2 ds/z=3");
  EXPECT_EQ(submitted_.size(), 1u);
  Put("ds", "a", "newer");
  EXPECT_EQ(SettleOk(30), "*5\r\n+OK\r\n$5\r\nnewer\r\n:1\r\n+PONG\r\n+OK\r\n");
  EXPECT_EQ(Send("TRIB.LASTREV\r\n"), "$15\r\nabcdef012345.30\r\n");
}

TEST_F(SessionTest, EachDeleteOfATransactionCountsItsOwn) {
  Send("MULTI\r\nDEL ds/x ds/a\r\nSET ds/b 1\r\nDEL ds/y\r\nUNLINK ds/b ds/z ds/c\r\nEXEC\r\n");
  EXPECT_EQ(LastBatch(), "ds/x=- ds/a=- ds/b=1 ds/y=- ds/b=- ds/z=- ds/c=-");
  EXPECT_EQ(SettleOk(20, {0, 3, 5}), "*4\r\n:1\r\n+OK\r\n:0\r\n:2\r\n");
  Send("MULTI\r\nDEL ds/x\r\nDEL ds/y ds/z\r\nEXEC\r\n");
  EXPECT_EQ(SettleOk(21), "*2\r\n:1\r\n:2\r\n");
}

TEST_F(SessionTest, ATransactionOfReadsNeedsNoBatch) {
  EXPECT_EQ(Send("MULTI\r\nGET ds/a\r\nGET other/x\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$2\r\nva\r\n-NOTSUBSCRIBED dataset other is not "
            "subscribed by service billing.finance; declare a Subscription\r\n");
  EXPECT_EQ(Send("MULTI\r\nEXEC\r\n"), "+OK\r\n*0\r\n");
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(SessionTest, ARefusedTransactionFailsWhole) {
  Send("MULTI\r\nSET ds/x 1\r\nGET ds/a\r\nEXEC\r\n");
  EXPECT_EQ(SettleError(common::StatusCode::kPermissionDenied, "not the owner"),
            "-READONLY not the owner\r\n");
  EXPECT_EQ(Send("PING\r\n"), "+PONG\r\n");
}

TEST_F(SessionTest, WhatCannotBeQueuedSpoilsTheTransaction) {
  for (const char* bad :
       {"NOSUCH", "GET", "SET x 1", "SET ds/a 1 EX 0", "SUBSCRIBE c", "HELLO 3"}) {
    SCOPED_TRACE(bad);
    EXPECT_EQ(Send("MULTI\r\nSET ds/x 1\r\n"), "+OK\r\n+QUEUED\r\n");
    EXPECT_THAT(Send(std::string(bad) + "\r\n"), StartsWith("-"));
    EXPECT_EQ(Send("EXEC\r\n"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
  }
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(SessionTest, DiscardAndNesting) {
  EXPECT_EQ(Send("MULTI\r\nMULTI\r\nSET ds/x 1\r\nDISCARD\r\nEXEC\r\n"),
            "+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n+OK\r\n"
            "-ERR EXEC without MULTI\r\n");
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(SessionTest, TransactionsOfWritesPipeline) {
  const std::string one = "MULTI\r\nSET ds/x 1\r\nEXEC\r\n";
  EXPECT_EQ(Send(one + one), "+OK\r\n+QUEUED\r\n");
  EXPECT_EQ(submitted_.size(), 2u);
  EXPECT_EQ(SettleOk(20), "*1\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
  EXPECT_EQ(SettleOk(21), "*1\r\n+OK\r\n");
}

TEST_F(SessionTest, ATransactionWithReadsWaitsForEarlierWrites) {
  EXPECT_EQ(Send("SET ds/x 1\r\nMULTI\r\nGET ds/a\r\nEXEC\r\nPING\r\n"), "");
  EXPECT_EQ(SettleOk(20), "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$2\r\nva\r\n+PONG\r\n");
}

// --- input and output ---------------------------------------------------------------------------

TEST_F(SessionTest, ACommandMayComeByteByByte) {
  std::string out;
  for (const char c : std::string("*2\r\n$3\r\nGET\r\n$4\r\nds/a\r\nPING\r\n")) {
    out += Send(std::string(1, c));
  }
  EXPECT_EQ(out, "$2\r\nva\r\n+PONG\r\n");
}

TEST_F(SessionTest, OverLongCommandsAreToldAndTheConnectionLives) {
  const std::size_t size = common::kRespBulkBytesMax + 1;
  EXPECT_THAT(Send("*2\r\n$4\r\nECHO\r\n$" + std::to_string(size) + "\r\n" +
                   std::string(size, 'x') + "\r\nPING\r\n"),
              testing::EndsWith("; at most 1114112\r\n+PONG\r\n"));
}

TEST_F(SessionTest, AProtocolErrorIsTheLastReply) {
  EXPECT_EQ(Send("PING\r\n*1\r\n:1\r\nPING\r\n"),
            "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n");
  EXPECT_TRUE(session_->finished());
}

TEST_F(SessionTest, AClientThatDoesNotTakeItsRepliesIsHeldBack) {
  parts_->services.output.soft = 100;
  const std::string word(60, 'x');
  const std::string echo = "ECHO " + word + "\r\n";
  session_->Receive(echo + echo + echo + echo);
  EXPECT_TRUE(session_->stalled());
  const std::string reply = "$60\r\n" + word + "\r\n";
  EXPECT_EQ(Output(), reply + reply);
  session_->set_unsent(2 * reply.size());  // with the kernel or waiting for it
  session_->Resume();
  EXPECT_EQ(Output(), "");
  session_->set_unsent(0);
  session_->Resume();
  EXPECT_EQ(Output(), reply + reply);
  session_->Resume();
  EXPECT_FALSE(session_->stalled());
}

TEST_F(SessionTest, MGetThatIsTooLongIsRefusedWhole) {
  parts_->services.output.max = 1000;
  Put("ds", "big", std::string(400, 'x'));
  EXPECT_THAT(Send("MGET ds/big ds/big ds/big\r\n"), StartsWith("-TOOBIG reply"));
}

TEST_F(SessionTest, AnEndedInputIsStillAnswered) {
  Send("SET ds/x 1\r\nGET ds/a\r\n");
  session_->EndInput();
  EXPECT_FALSE(session_->finished());
  EXPECT_EQ(SettleOk(20), "+OK\r\n$2\r\nva\r\n");
  EXPECT_TRUE(session_->finished());
}

// --- subscriptions ------------------------------------------------------------------------------

TEST_F(SessionTest, SubscribeInResp2) {
  EXPECT_FALSE(parts_->subscriptions.any());
  EXPECT_EQ(Send("SUBSCRIBE __keyspace@0__:ds/a __keyevent@0__:del\r\n"),
            "*3\r\n$9\r\nsubscribe\r\n$19\r\n__keyspace@0__:ds/a\r\n:1\r\n"
            "*3\r\n$9\r\nsubscribe\r\n$18\r\n__keyevent@0__:del\r\n:2\r\n");
  EXPECT_TRUE(parts_->subscriptions.any());
  EXPECT_EQ(Send("PSUBSCRIBE __keyspace@0__:ds/*\r\n"),
            "*3\r\n$10\r\npsubscribe\r\n$19\r\n__keyspace@0__:ds/*\r\n:3\r\n");
  EXPECT_EQ(Send("PING\r\n"), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  EXPECT_EQ(Send("PING x\r\n"), "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
  EXPECT_EQ(Send("GET ds/a\r\n"),
            "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
            "RESET are allowed in this context\r\n");
  EXPECT_EQ(parts_->subscriptions.Publish("set", "ds/a"), 2u);
  EXPECT_EQ(Output(),
            "*3\r\n$7\r\nmessage\r\n$19\r\n__keyspace@0__:ds/a\r\n$3\r\nset\r\n"
            "*4\r\n$8\r\npmessage\r\n$19\r\n__keyspace@0__:ds/*\r\n"
            "$19\r\n__keyspace@0__:ds/a\r\n$3\r\nset\r\n");
  EXPECT_EQ(parts_->subscriptions.Publish("del", "other/a"), 1u);
  EXPECT_EQ(Output(), "*3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:del\r\n$7\r\nother/a\r\n");
  EXPECT_EQ(Send("UNSUBSCRIBE\r\n"),
            "*3\r\n$11\r\nunsubscribe\r\n$18\r\n__keyevent@0__:del\r\n:2\r\n"
            "*3\r\n$11\r\nunsubscribe\r\n$19\r\n__keyspace@0__:ds/a\r\n:1\r\n");
  EXPECT_EQ(Send("PUNSUBSCRIBE __keyspace@0__:ds/*\r\n"),
            "*3\r\n$12\r\npunsubscribe\r\n$19\r\n__keyspace@0__:ds/*\r\n:0\r\n");
  EXPECT_EQ(Send("UNSUBSCRIBE\r\n"), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  EXPECT_EQ(Send("GET ds/a\r\n"), "$2\r\nva\r\n");
  EXPECT_FALSE(parts_->subscriptions.any());
}

TEST_F(SessionTest, SubscribeInResp3PushesBesideReplies) {
  Send("HELLO 3\r\n");
  EXPECT_EQ(Send("SUBSCRIBE __keyevent@0__:set\r\n"),
            ">3\r\n$9\r\nsubscribe\r\n$18\r\n__keyevent@0__:set\r\n:1\r\n");
  EXPECT_EQ(Send("GET ds/a\r\nPING\r\n"), "$2\r\nva\r\n+PONG\r\n");
  parts_->subscriptions.Publish("set", "ds/a");
  EXPECT_EQ(Output(), ">3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:set\r\n$4\r\nds/a\r\n");
}

TEST_F(SessionTest, NothingElseIsPublished) {
  for (const char* channel : {"news", "__keyspace@0__:nokey", "__keyevent@0__:lpush", "__key*"}) {
    EXPECT_THAT(Send("SUBSCRIBE " + std::string(channel) + "\r\n"),
                HasSubstr("nothing is published to channel"));
  }
  EXPECT_FALSE(parts_->subscriptions.any());
}

TEST_F(SessionTest, AReplacedCopyIsToldToAllConcerned) {
  Send("SUBSCRIBE __keyspace@0__:ds/a __keyspace@0__:ds/gone __keyspace@0__:dsx/a\r\n");
  Session other(8, parts_->services);
  Send(other, "PSUBSCRIBE __keyspace@0__:ds/*\r\n");
  EXPECT_EQ(
      parts_->subscriptions.PublishReplaced("ds", [](std::string_view key) { return key == "a"; }),
      3u);
  EXPECT_EQ(Output(),
            "*3\r\n$7\r\nmessage\r\n$19\r\n__keyspace@0__:ds/a\r\n$3\r\nset\r\n"
            "*3\r\n$7\r\nmessage\r\n$22\r\n__keyspace@0__:ds/gone\r\n$3\r\ndel\r\n");
  EXPECT_EQ(Output(other),
            "*4\r\n$8\r\npmessage\r\n$19\r\n__keyspace@0__:ds/*\r\n"
            "$18\r\n__keyspace@0__:ds/\r\n$8\r\nreplaced\r\n");
}

TEST_F(SessionTest, AClosedSessionLeavesNoSubscription) {
  {
    Session other(8, parts_->services);
    Send(other, "SUBSCRIBE __keyevent@0__:set\r\nPSUBSCRIBE *\r\n");
    EXPECT_TRUE(parts_->subscriptions.any());
  }
  EXPECT_FALSE(parts_->subscriptions.any());
  EXPECT_EQ(parts_->subscriptions.Publish("set", "ds/a"), 0u);
}

}  // namespace
}  // namespace agent
