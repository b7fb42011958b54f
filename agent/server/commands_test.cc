// Raw bytes in, exact bytes out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Exchange {
  std::string command;
  std::string resp2;
  std::string resp3 = "=";  // "=": the same
};

class CommandsTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    Load("ds", {"a", "b", "k1", "k2"});
    Load("empty", {});
    Put("ds", "bin", std::string("\0\r\n", 3));
  }
  void Expect(const std::vector<Exchange>& exchanges) {
    for (const bool resp3 : {false, true}) {
      Send(resp3 ? "HELLO 3\r\n" : "HELLO 2\r\n");
      for (const Exchange& exchange : exchanges) {
        const std::string& want = resp3 && exchange.resp3 != "=" ? exchange.resp3 : exchange.resp2;
        EXPECT_EQ(Send(exchange.command + "\r\n"), want) << exchange.command << " " << resp3;
      }
    }
  }
};

TEST_F(CommandsTest, Reads) {
  Expect({
      {"GET ds/a", "$2\r\nva\r\n"},
      {"get ds/a", "$2\r\nva\r\n"},
      {"GET ds/none", "$-1\r\n", "_\r\n"},
      {"GET ds/bin", std::string("$3\r\n\0\r\n\r\n", 9)},
      {"MGET ds/a ds/none ds/b", "*3\r\n$2\r\nva\r\n$-1\r\n$2\r\nvb\r\n",
       "*3\r\n$2\r\nva\r\n_\r\n$2\r\nvb\r\n"},
      {"EXISTS ds/a ds/none ds/a", ":2\r\n"},
      {"STRLEN ds/k1", ":3\r\n"},
      {"STRLEN ds/none", ":0\r\n"},
      {"TYPE ds/a", "+string\r\n"},
      {"TYPE ds/none", "+none\r\n"},
      {"TTL ds/a", ":-1\r\n"},
      {"TTL ds/none", ":-2\r\n"},
      {"PTTL ds/a", ":-1\r\n"},
      {"DBSIZE", ":5\r\n"},
      {"KEYS ds/k*", "*2\r\n$5\r\nds/k1\r\n$5\r\nds/k2\r\n"},
      {"KEYS empty/*", "*0\r\n"},
      {"SCAN 0 MATCH ds/k?", "*2\r\n$1\r\n0\r\n*2\r\n$5\r\nds/k1\r\n$5\r\nds/k2\r\n"},
      {"SCAN 0 COUNT 100",
       "*2\r\n$1\r\n0\r\n*5\r\n$4\r\nds/a\r\n$4\r\nds/b\r\n$6\r\nds/bin\r\n"
       "$5\r\nds/k1\r\n$5\r\nds/k2\r\n"},
      {"SCAN 0 TYPE hash", "*2\r\n$1\r\n0\r\n*0\r\n"},
      {"SCAN 0 TYPE string MATCH ds/a", "*2\r\n$1\r\n0\r\n*1\r\n$4\r\nds/a\r\n"},
  });
}

TEST_F(CommandsTest, GetRange) {
  Put("ds", "text", "This is a string");
  Expect({
      {"GETRANGE ds/text 0 3", "$4\r\nThis\r\n"},
      {"GETRANGE ds/text -3 -1", "$3\r\ning\r\n"},
      {"GETRANGE ds/text 0 -1", "$16\r\nThis is a string\r\n"},
      {"GETRANGE ds/text 10 100", "$6\r\nstring\r\n"},
      {"GETRANGE ds/text -100 3", "$4\r\nThis\r\n"},
      {"GETRANGE ds/text 5 3", "$0\r\n\r\n"},
      {"GETRANGE ds/text -1 -3", "$0\r\n\r\n"},
      {"GETRANGE ds/text 100 200", "$0\r\n\r\n"},
      {"GETRANGE ds/text -9223372036854775808 9223372036854775807", "$16\r\nThis is a string\r\n"},
      {"SUBSTR ds/text 5 6", "$2\r\nis\r\n"},
      {"GETRANGE ds/none 0 -1", "$0\r\n\r\n"},
      {"GETRANGE ds/text x 1", "-ERR value is not an integer or out of range\r\n"},
  });
}

TEST_F(CommandsTest, ReadErrorsNameTheCauseAndTheCure) {
  ASSERT_EQ(writer_->Add({.dataset = "new", .prefix = ""}), common::OkStatus());
  ASSERT_EQ(writer_->Add({.dataset = "gone", .prefix = ""}), common::OkStatus());
  ASSERT_EQ(writer_->Deny({.dataset = "gone", .prefix = ""}, Denial::kNoDataset),
            common::OkStatus());
  ASSERT_EQ(writer_->Add({.dataset = "secret", .prefix = ""}), common::OkStatus());
  ASSERT_EQ(writer_->Deny({.dataset = "secret", .prefix = ""}, Denial::kNoPermission),
            common::OkStatus());
  Changes none;
  LoadCopy({.dataset = "part", .prefix = "eu-"}, none, 10);
  const std::string loading =
      "-LOADING dataset new is being copied for the first time; try again shortly";
  const std::string other =
      "-NOTSUBSCRIBED dataset other is not subscribed by service billing.finance; declare a "
      "Subscription";
  Expect({
      {"GET a", "-ERR key must be <dataset>/<key>\r\n"},
      {"GET /a", "-ERR key must be <dataset>/<key>\r\n"},
      {"GET ds/", "-ERR key must be <dataset>/<key>\r\n"},
      {"GET other/a", other + "\r\n"},
      {"MGET ds/a other/a", other + " (key other/a)\r\n"},
      {"EXISTS ds/a other/a", other + " (key other/a)\r\n"},
      {"TYPE other/a", other + "\r\n"},
      {"TTL other/a", other + "\r\n"},
      {"GET new/a", loading + "\r\n"},
      {"MGET ds/a new/a ds/b", loading + " (key new/a)\r\n"},
      {"KEYS new/*", loading + "\r\n"},
      {"SCAN 0 MATCH new/*", loading + "\r\n"},
      {"GET gone/a", "-NODATASET dataset gone is not declared; declare it or correct the name\r\n"},
      {"GET secret/a",
       "-NOPERM service billing.finance is not among the consumers of dataset "
       "secret; ask its owner to add it\r\n"},
      {"GET part/us-1",
       "-NOTSUBSCRIBED key part/us-1 is outside the prefixes of dataset part that "
       "service billing.finance subscribes; declare a Subscription that covers "
       "it\r\n"},
      {"GET part/eu-1", "$-1\r\n", "_\r\n"},
      {"KEYS part/*", "*0\r\n"},
      {"KEYS other/*", other + "\r\n"},
      {"KEYS *", "-ERR KEYS needs one dataset: <dataset>/<pattern>; SCAN walks all of them\r\n"},
      {"SCAN x", "-ERR invalid cursor\r\n"},
      {"SCAN 12345", "-ERR invalid cursor: not known, or forgotten; begin again with 0\r\n"},
      {"SCAN 0 COUNT 0", "-ERR syntax error\r\n"},
      {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"},
      {"SCAN 0 MATCH", "-ERR syntax error\r\n"},
      {"DBSIZE", ":5\r\n"},
  });
  EXPECT_THAT(Send("GET ds/" + std::string(401, 'k') + "\r\n"), StartsWith("-TOOBIG "));
}

TEST_F(CommandsTest, BeforeSubscriptionsAreKnownNothingIsCalledNotSubscribed) {
  board_.Put(std::make_shared<AgentStatus>());
  EXPECT_THAT(Send("GET other/a\r\n"), StartsWith("-LOADING "));
}

TEST_F(CommandsTest, ErrorsWordedAsRedisDoes) {
  Expect({
      {"NOSUCH a 'b c'", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b c' \r\n"},
      {"CLIENT|ID", "-ERR unknown command 'CLIENT|ID', with args beginning with: \r\n"},
      {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
      {"GET a b", "-ERR wrong number of arguments for 'get' command\r\n"},
      {"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"},
      {"CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n"},
      {"client setname", "-ERR wrong number of arguments for 'client|setname' command\r\n"},
      {"MSET a", "-ERR wrong number of arguments for 'mset' command\r\n"},
      {"MSET ds/a 1 ds/b", "-ERR wrong number of arguments for 'mset' command\r\n"},
      {"EXEC", "-ERR EXEC without MULTI\r\n"},
      {"DISCARD", "-ERR DISCARD without MULTI\r\n"},
      {"SELECT 1", "-ERR DB index is out of range; there is only database 0\r\n"},
      {"SELECT x", "-ERR value is not an integer or out of range\r\n"},
      {"HELLO 4", "-NOPROTO unsupported protocol version\r\n"},
      {"HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"},
      {"HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n"},
      {"COMMAND GETKEYS PING x", "-ERR The command has no key arguments\r\n"},
      {"COMMAND GETKEYS NOSUCH x", "-ERR Invalid command specified\r\n"},
  });
}

TEST_F(CommandsTest, WhatIsNotSupportedSaysWhatToDo) {
  Expect({
      {"EXPIRE ds/a 5",
       "-ERR command 'EXPIRE' is not supported: its expiry is set with the value, "
       "by SET key value EX|PX|EXAT|PXAT\r\n"},
      {"incr ds/a",
       "-ERR command 'INCR' is not supported: WATCH the key, then MULTI, SET, EXEC\r\n"},
      {"SET ds/a 1 BOGUS", "-ERR syntax error\r\n"},
      {"TRIB.GET ds/a BOGUS", "-ERR syntax error\r\n"},
      {"TRIB.GET ds/a ds/b", "-ERR syntax error\r\n"},
  });
}

TEST_F(CommandsTest, Connection) {
  Expect({
      {"PING", "+PONG\r\n"},
      {"PING hi", "$2\r\nhi\r\n"},
      {"ECHO hi", "$2\r\nhi\r\n"},
      {"SELECT 0", "+OK\r\n"},
      {"CLIENT ID", ":7\r\n"},
      {"CLIENT GETNAME", "$-1\r\n", "$3\r\njoe\r\n"},  // the second round keeps the name
      {"CLIENT SETNAME joe", "+OK\r\n"},
      {"CLIENT GETNAME", "$3\r\njoe\r\n"},
      {"CLIENT SETNAME 'j j'",
       "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
      {"CLIENT SETINFO LIB-NAME lib", "+OK\r\n"},
      {"CLIENT SETINFO OTHER lib", "-ERR Unrecognized option 'OTHER'\r\n"},
      {"CLIENT NO-EVICT on", "+OK\r\n"},
      {"CLIENT NO-TOUCH off", "+OK\r\n"},
      {"CLIENT NO-TOUCH maybe", "-ERR syntax error\r\n"},
      {"CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n",
       "%1\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"},
      {"CONFIG GET save maxmem*",
       "*6\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n"
       "$10\r\nnoeviction\r\n$4\r\nsave\r\n$0\r\n\r\n",
       "%3\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n"
       "$10\r\nnoeviction\r\n$4\r\nsave\r\n$0\r\n\r\n"},
      {"CONFIG GET nosuch", "*0\r\n", "%0\r\n"},
      {"COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
      {"COMMAND INFO get",
       "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n"
       "*0\r\n*0\r\n",
       "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~0\r\n~0\r\n"
       "~0\r\n*0\r\n"},
      {"COMMAND INFO nosuch", "*1\r\n*-1\r\n", "*1\r\n_\r\n"},
      {"COMMAND DOCS echo",
       "*2\r\n$4\r\necho\r\n*6\r\n$7\r\nsummary\r\n$11\r\nThe message\r\n$5\r\nsince\r\n"
       "$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n",
       "%1\r\n$4\r\necho\r\n%3\r\n$7\r\nsummary\r\n$11\r\nThe message\r\n$5\r\nsince\r\n"
       "$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n"},
  });
  EXPECT_THAT(Send("AUTH x\r\n"), StartsWith("-ERR AUTH <password> called without any password"));
  EXPECT_THAT(Send("HELLO 3 AUTH default x\r\n"), StartsWith("-ERR AUTH "));
  EXPECT_EQ(Send("HELLO 2 SETNAME ann\r\n"),
            "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n"
            ":2\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n"
            "$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
  EXPECT_THAT(Send("CLIENT LIST\r\n"),
              HasSubstr("id=7 addr=/run/s:0 laddr=/run/s:0 fd=-1 name=ann"));
  EXPECT_EQ(Send("CLIENT LIST ID 8\r\n"), "$0\r\n\r\n");
  EXPECT_THAT(Send("CLIENT INFO\r\n"), HasSubstr("cmd=client|info user=default redir=-1 resp=2"));
}

TEST_F(CommandsTest, Info) {
  const std::string all = Send("INFO\r\n");
  for (const char* want : {"# Server\r\nredis_version:", "# Clients\r\n", "# Memory\r\n",
                           "# Stats\r\n", "# Replication\r\nrole:master\r\n",
                           "# Tributary\r\nservice:billing.finance\r\n", "loading:0\r\n"}) {
    EXPECT_THAT(all, HasSubstr(want));
  }
  EXPECT_EQ(Send("INFO replication\r\n"),
            "$83\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
            "master_failover_state:no-failover\r\n\r\n");
  EXPECT_EQ(Send("INFO nosuch\r\n"), "$0\r\n\r\n");
  Send("HELLO 3\r\n");
  EXPECT_THAT(Send("INFO replication\r\n"), StartsWith("=87\r\ntxt:# Replication\r\n"));
}

TEST_F(CommandsTest, ResetAndQuit) {
  Send("HELLO 3 SETNAME ann\r\nMULTI\r\n");
  EXPECT_EQ(Send("RESET\r\n"), "+RESET\r\n");
  EXPECT_EQ(Send("CLIENT GETNAME\r\nGET ds/none\r\n"), "$-1\r\n$-1\r\n");
  EXPECT_EQ(Send("QUIT\r\nPING\r\n"), "+OK\r\n");
  EXPECT_TRUE(session_->finished());
}

TEST_F(CommandsTest, OwnCommands) {
  auto status = std::make_shared<AgentStatus>();
  CopyStatus copy;
  copy.collection = {.dataset = "ds", .prefix = ""};
  copy.phase = CopyPhase::kSynced;
  copy.cursor = At(11);
  copy.head = 12;
  copy.entries = 5;
  copy.bytes = 50;
  copy.digest = "00";
  copy.verified_at_ms = 99;
  status->copies = {copy};
  board_.Put(status);
  Expect({
      {"TRIB.GET ds/a", "$2\r\nva\r\n"},
      {"TRIB.GET ds/none", "$-1\r\n", "_\r\n"},
      {"TRIB.GET ds/a WITHMETA", "*4\r\n$2\r\nva\r\n:10\r\n$-1\r\n$5\r\ncache\r\n",
       "*4\r\n$2\r\nva\r\n:10\r\n_\r\n$5\r\ncache\r\n"},
      {"TRIB.MGET ds/a ds/none", "*2\r\n$2\r\nva\r\n$-1\r\n", "*2\r\n$2\r\nva\r\n_\r\n"},
      {"TRIB.MGET ds/a WITHMETA", "*1\r\n*4\r\n$2\r\nva\r\n:10\r\n$-1\r\n$5\r\ncache\r\n",
       "*1\r\n*4\r\n$2\r\nva\r\n:10\r\n_\r\n$5\r\ncache\r\n"},
      {"TRIB.LASTREV", "$-1\r\n", "_\r\n"},
      {"TRIB.STATUS nosuch",
       "-NOTSUBSCRIBED dataset nosuch is not subscribed by service billing.finance; declare a "
       "Subscription\r\n"},
  });
  // Proven 250 ms ago.
  status = std::make_shared<AgentStatus>(*status);
  status->copies[0].proven_at = clock_.now - std::chrono::milliseconds(250);
  board_.Put(status);
  EXPECT_EQ(Send("TRIB.GET ds/none WITHMETA\r\n"), "*4\r\n_\r\n_\r\n:250\r\n$5\r\ncache\r\n");
  EXPECT_EQ(Send("TRIB.STATUS ds\r\n"),
            "*1\r\n%12\r\n$7\r\ndataset\r\n$2\r\nds\r\n$6\r\nprefix\r\n$0\r\n\r\n$4\r\nmode\r\n"
            "$9\r\nreplicate\r\n$5\r\nstate\r\n$6\r\nSYNCED\r\n$5\r\nepoch\r\n$12\r\nabcdef012345"
            "\r\n$8\r\nrevision\r\n:11\r\n$4\r\nhead\r\n:12\r\n$6\r\nage_ms\r\n:250\r\n"
            "$7\r\nentries\r\n:5\r\n$5\r\nbytes\r\n:50\r\n$6\r\ndigest\r\n$2\r\n00\r\n"
            "$11\r\nverified_at\r\n:99\r\n");
}

TEST_F(CommandsTest, RandomKeyIsAKeyThatExists) {
  for (int i = 0; i < 50; ++i) EXPECT_THAT(Send("RANDOMKEY\r\n"), HasSubstr("\r\nds/"));
}

TEST_F(CommandsTest, ReadsAreCountedByCommandAndResult) {
  Send("MGET ds/a ds/b ds/none\r\nGET other/x\r\nGET a\r\n");
  const CommandTable table;
  const auto count = [&](const char* command, ReadResult result) {
    return parts_->services.stats.commands[CommandTable::IndexOf(*table.FindByName(command))]
        .reads[static_cast<std::size_t>(result)]
        .Get();
  };
  EXPECT_EQ(count("mget", ReadResult::kHit), 2u);
  EXPECT_EQ(count("mget", ReadResult::kMiss), 1u);
  EXPECT_EQ(count("get", ReadResult::kNotSubscribed), 1u);
  EXPECT_EQ(count("get", ReadResult::kError), 1u);
}

TEST(CommandTableTest, EntriesAreSound) {
  EXPECT_LE(AllCommands().size(), kCommandsMax);
  const CommandTable table;
  for (const CommandSpec& spec : AllCommands()) {
    SCOPED_TRACE(spec.name);
    EXPECT_EQ(table.FindByName(LowerCase(spec.name)), &spec);
    EXPECT_EQ(spec.write != nullptr, (spec.flags & kWrite) != 0);
    const bool can_run = spec.handler != nullptr || spec.write != nullptr;
    EXPECT_TRUE(can_run || ((spec.flags & kContainer) != 0 && spec.arity <= -2));
    EXPECT_FALSE(spec.summary.empty());
    EXPECT_THAT(CommandReference(), HasSubstr(std::string(spec.group)));
  }
}

}  // namespace
}  // namespace agent
