// SET's options and the commands made of them: what they send and what they reply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Condition = SetOptions::Condition;

class WriteOptionsTest : public SessionFixture {
 protected:
  // What the one write of a command is sent as.
  SocketWrite Sent(const std::string& command) {
    EXPECT_EQ(Send(command + "\r\n"), "");
    EXPECT_EQ(submitted_.size(), 1u);
    EXPECT_EQ(submitted_.front().writes.size(), 1u);
    const SocketWrite write = submitted_.front().writes[0];
    SettleOk(1);
    return write;
  }
  std::string ReplyTo(const std::string& command, WriteOutcome outcome) {
    EXPECT_EQ(Send(command + "\r\n"), "");
    outcome.version = At(20);
    return Settle(std::move(outcome));
  }
};

const std::string kFirst(1, 1);  // of a batch: it did nothing

TEST_F(WriteOptionsTest, WhatIsSent) {
  struct Case {
    const char* command;
    SetOptions options;
    std::optional<std::string> value = "v";
  };
  for (const Case& c :
       {Case{"SET ds/x v", {}}, Case{"SET ds/x v nx", {Condition::kIfAbsent}},
        Case{"SET ds/x v XX GET", {Condition::kIfPresent, true}},
        Case{"SET ds/x v EX 7", {.expires_in_ms = 7000}},
        Case{"SET ds/x v PXAT 7", {.expires_at_ms = 7}},
        Case{"SET ds/x v KEEPTTL", {.keep_ttl = true}},
        Case{"SETNX ds/x v", {Condition::kIfAbsent}},
        Case{"SETEX ds/x 7 v", {.expires_in_ms = 7000}},
        Case{"PSETEX ds/x 7 v", {.expires_in_ms = 7}}, Case{"GETSET ds/x v", {.get = true}},
        Case{"GETDEL ds/x", {.get = true}, std::nullopt}, Case{"DEL ds/x", {}, std::nullopt}}) {
    SCOPED_TRACE(c.command);
    const SocketWrite write = Sent(c.command);
    EXPECT_EQ(write.dataset + "/" + write.key, "ds/x");
    EXPECT_EQ(write.value, c.value);
    EXPECT_EQ(write.options, c.options);
  }
}

TEST_F(WriteOptionsTest, WhatIsReplied) {
  const WriteOutcome done, skipped{.skipped = kFirst}, old{.old = {{0, "was"}}},
      skipped_old{.skipped = kFirst, .old = {{0, "was"}}};
  struct Case {
    const char* command;
    WriteOutcome outcome;
    const char* reply;
  };
  for (const Case& c :
       {Case{"SET ds/x v EX 7", done, "+OK\r\n"}, Case{"SET ds/x v NX", done, "+OK\r\n"},
        Case{"SET ds/x v NX", skipped, "$-1\r\n"}, Case{"SET ds/x v XX", skipped, "$-1\r\n"},
        Case{"SET ds/x v GET", done, "$-1\r\n"}, Case{"SET ds/x v GET", old, "$3\r\nwas\r\n"},
        Case{"SET ds/x v NX GET", skipped_old, "$3\r\nwas\r\n"},
        Case{"SET ds/x v NX GET", done, "$-1\r\n"}, Case{"SET ds/x v XX GET", skipped, "$-1\r\n"},
        Case{"SETNX ds/x v", done, ":1\r\n"}, Case{"SETNX ds/x v", skipped, ":0\r\n"},
        Case{"SETEX ds/x 7 v", done, "+OK\r\n"}, Case{"GETSET ds/x v", old, "$3\r\nwas\r\n"},
        Case{"GETDEL ds/x", old, "$3\r\nwas\r\n"}, Case{"GETDEL ds/x", skipped, "$-1\r\n"},
        Case{"UNLINK ds/x", skipped, ":0\r\n"}}) {
    SCOPED_TRACE(c.command);
    EXPECT_EQ(ReplyTo(c.command, c.outcome), c.reply);
  }
  Send("HELLO 3\r\n");
  EXPECT_EQ(ReplyTo("SET ds/x v NX", skipped), "_\r\n");
}

TEST_F(WriteOptionsTest, EachCommandOfATransactionGetsItsOwnReply) {
  Send(
      "MULTI\r\nSET ds/a 1 NX\r\nDEL ds/b ds/c\r\nGETDEL ds/d\r\nSET ds/e 1 XX GET\r\n"
      "SETNX ds/f 1\r\nSET ds/g 1 XX\r\nEXEC\r\n");
  ASSERT_EQ(submitted_.size(), 1u);
  EXPECT_EQ(LastBatch(), "ds/a=1 ds/b=- ds/c=- ds/d=- ds/e=1 ds/f=1 ds/g=1");
  EXPECT_EQ(submitted_.front().writes[5].options.condition, Condition::kIfAbsent);
  EXPECT_EQ(
      Settle(
          {.version = At(20), .skipped = std::string(1, 0b1000101), .old = {{3, "d"}, {4, "e"}}}),
      "*6\r\n$-1\r\n:1\r\n$1\r\nd\r\n$1\r\ne\r\n:1\r\n$-1\r\n");
}

TEST_F(WriteOptionsTest, RefusedBeforeTheyAreSent) {
  struct Case {
    const char* command;
    const char* reply;
  };
  for (const Case& c :
       {Case{"SET ds/x v NX XX", "-ERR syntax error\r\n"},
        Case{"SET ds/x v EX 0", "-ERR invalid expire time in 'set' command\r\n"},
        Case{"SETEX ds/x 0 v", "-ERR invalid expire time in 'setex' command\r\n"},
        Case{"PSETEX ds/x -1 v", "-ERR invalid expire time in 'psetex' command\r\n"},
        Case{"SETEX ds/x x v", "-ERR value is not an integer or out of range\r\n"},
        Case{"SETNX x v", "-ERR key must be <dataset>/<key>\r\n"},
        Case{"GETDEL ds/x y", "-ERR wrong number of arguments for 'getdel' command\r\n"}}) {
    EXPECT_EQ(Send(std::string(c.command) + "\r\n"), c.reply);
  }
  EXPECT_TRUE(submitted_.empty());
}

}  // namespace
}  // namespace agent
