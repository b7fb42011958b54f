// Entries that expire: absent to every read from their instant on, by the control plane's clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kTheirs = 1'800'000'000'000;  // this host's clock is years behind

class ExpiryTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    Load("ds", {"stays"});
    board_.control_plane_clock.OnAnswer(clock_.now, clock_.now, kTheirs);
  }
  void PutUntil(const std::string& key, std::int64_t expires_at_ms) {
    Change change{.key = key, .version = At(++revision_), .entry = common::EntryView{}};
    const std::string value = "v" + key;
    change.entry->value = value;
    change.entry->expires_at_ms = expires_at_ms;
    ASSERT_EQ(writer_->Apply({.dataset = "ds", .prefix = ""}, {&change, 1}, At(revision_)),
              common::OkStatus());
  }
  void Pass(std::int64_t ms) { clock_.now += std::chrono::milliseconds(ms); }
  std::string Run(const std::string& command) { return Send(command + "\r\n"); }
};

TEST_F(ExpiryTest, AbsentToEveryReadFromItsInstantOn) {
  PutUntil("k", kTheirs + 5'000);
  struct Case {
    const char* command;
    const char* before;
    const char* after;
  };
  const std::vector<Case> cases = {
      {"GET ds/k", "$2\r\nvk\r\n", "$-1\r\n"},
      {"MGET ds/k ds/stays", "*2\r\n$2\r\nvk\r\n$6\r\nvstays\r\n", "*2\r\n$-1\r\n$6\r\nvstays\r\n"},
      {"EXISTS ds/k ds/k ds/stays", ":3\r\n", ":1\r\n"},
      {"STRLEN ds/k", ":2\r\n", ":0\r\n"},
      {"GETRANGE ds/k 1 -1", "$1\r\nk\r\n", "$0\r\n\r\n"},
      {"TYPE ds/k", "+string\r\n", "+none\r\n"},
      {"PTTL ds/k", ":1\r\n", ":-2\r\n"},
      {"TTL ds/k", ":0\r\n", ":-2\r\n"},
      {"PEXPIRETIME ds/k", ":1800000005000\r\n", ":-2\r\n"},
      {"EXPIRETIME ds/k", ":1800000005\r\n", ":-2\r\n"},
      {"TRIB.GET ds/k", "$2\r\nvk\r\n", "$-1\r\n"},
      {"KEYS ds/*", "*2\r\n$4\r\nds/k\r\n$8\r\nds/stays\r\n", "*1\r\n$8\r\nds/stays\r\n"},
      {"SCAN 0 MATCH ds/*", "*2\r\n$1\r\n0\r\n*2\r\n$4\r\nds/k\r\n$8\r\nds/stays\r\n",
       "*2\r\n$1\r\n0\r\n*1\r\n$8\r\nds/stays\r\n"},
      {"TTL ds/stays", ":-1\r\n", ":-1\r\n"},
      {"PEXPIRETIME ds/stays", ":-1\r\n", ":-1\r\n"},
  };
  Pass(4'999);
  for (const Case& c : cases) EXPECT_EQ(Run(c.command), c.before) << c.command;
  Pass(1);
  for (const Case& c : cases) EXPECT_EQ(Run(c.command), c.after) << c.command;
}

TEST_F(ExpiryTest, TimesToLiveAreRoundedAsRedisDoes) {
  PutUntil("k", kTheirs + 5'500);
  EXPECT_EQ(Run("TTL ds/k"), ":6\r\n");
  EXPECT_EQ(Run("EXPIRETIME ds/k"), ":1800000006\r\n");
  Pass(1);
  EXPECT_EQ(Run("TTL ds/k"), ":5\r\n");
  EXPECT_EQ(Run("PTTL ds/k"), ":5499\r\n");
}

TEST_F(ExpiryTest, RandomKeyIsALiveOne) {
  for (int i = 0; i < 30; ++i) PutUntil("k" + std::to_string(i), kTheirs);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Run("RANDOMKEY"), "$8\r\nds/stays\r\n");
}

TEST_F(ExpiryTest, OneTurnIsOneInstant) {
  PutUntil("k", kTheirs + 1);
  EXPECT_EQ(session_->now_ms(), kTheirs);
  Pass(1);
  EXPECT_EQ(session_->now_ms(), kTheirs);
  session_->Receive("GET ds/k\r\n");
  EXPECT_EQ(Output(), "$2\r\nvk\r\n");  // of the turn that began before
  EXPECT_EQ(Run("GET ds/k"), "$-1\r\n");
}

TEST_F(ExpiryTest, AWatchedKeyThatExpiresHasChanged) {
  PutUntil("k", kTheirs + 5);
  EXPECT_EQ(Run("WATCH ds/k"), "+OK\r\n");
  Pass(5);
  EXPECT_EQ(Run("GET ds/k"), "$-1\r\n");
  EXPECT_EQ(Run("MULTI\r\nSET ds/z 1\r\nEXEC"), "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(Run("WATCH ds/k\r\nMULTI\r\nSET ds/z 1\r\nEXEC"), "+OK\r\n+OK\r\n+QUEUED\r\n");
  EXPECT_EQ(submitted_.back().checks.at(0).version, std::nullopt);
}

// Nobody would tell the client at the instant, so it is told at once not to keep it.
TEST_F(ExpiryTest, ClientsDoNotKeepWhatExpires) {
  PutUntil("k", kTheirs + 5'000);
  Send("HELLO 3\r\nCLIENT TRACKING ON\r\n");
  EXPECT_EQ(Run("GET ds/k"), "$2\r\nvk\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nds/k\r\n");
  EXPECT_EQ(Run("GET ds/stays"), "$6\r\nvstays\r\n");
}

}  // namespace
}  // namespace agent
