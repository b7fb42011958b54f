// CLIENT TRACKING: sessions, and the table with its bound.
#include "agent/server/tracking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::HasSubstr;

constexpr const char* kOk = "+OK\r\n";

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}
std::string Invalid(const std::string& key) {
  return ">2\r\n" + Bulk("invalidate") + "*1\r\n" + Bulk(key);
}
const std::string kAllInvalid = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

class TrackingTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    Load("ds", {"a", "b", "c", "d", "e"});
    Send("HELLO 3\r\n");
  }
  // What the session is told when this key changes.
  std::string Change(const std::string& key, common::Version version = {}) {
    parts_->tracking.OnChanged(key, version);
    return Output();
  }
  std::string Run(const std::string& command) { return Send(command + "\r\n"); }
};

TEST_F(TrackingTest, AReadKeyIsToldOnce) {
  EXPECT_EQ(Run("GET ds/a"), Bulk("va"));
  EXPECT_EQ(Change("ds/a"), "");  // tracking is off
  EXPECT_EQ(Run("CLIENT TRACKING ON"), kOk);
  EXPECT_EQ(Change("ds/a"), "");
  Run("MGET ds/a ds/none");
  EXPECT_EQ(Change("ds/b"), "");
  EXPECT_EQ(Change("ds/none"), Invalid("ds/none"));  // absence is cached, too
  EXPECT_EQ(Change("ds/a"), Invalid("ds/a"));
  EXPECT_EQ(Change("ds/a"), "");
  EXPECT_EQ(Run("CLIENT TRACKING OFF"), kOk);
  Run("GET ds/a");
  EXPECT_EQ(Change("ds/a"), "");
  EXPECT_FALSE(parts_->tracking.any());
}

TEST_F(TrackingTest, Broadcast) {
  EXPECT_EQ(Run("CLIENT TRACKING ON BCAST PREFIX ds/a PREFIX x"), kOk);
  EXPECT_EQ(Change("ds/abc"), Invalid("ds/abc"));
  EXPECT_EQ(Change("ds/abc"), Invalid("ds/abc"));  // each time
  EXPECT_EQ(Change("ds/b"), "");
  EXPECT_EQ(Run("CLIENT TRACKING ON BCAST PREFIX ds/b"), kOk);
  EXPECT_EQ(Change("ds/b"), Invalid("ds/b"));
  EXPECT_EQ(Change("x/y"), Invalid("x/y"));
  Run("CLIENT TRACKING OFF");
  EXPECT_EQ(Run("CLIENT TRACKING ON BCAST"), kOk);
  EXPECT_EQ(Change("any/key"), Invalid("any/key"));
}

TEST_F(TrackingTest, OptInAndOptOut) {
  Run("CLIENT TRACKING ON OPTIN");
  Run("GET ds/a");
  EXPECT_EQ(Change("ds/a"), "");
  EXPECT_EQ(Run("CLIENT CACHING YES"), kOk);
  Run("GET ds/a");
  Run("GET ds/b");  // the one before was meant
  EXPECT_EQ(Change("ds/b"), "");
  EXPECT_EQ(Change("ds/a"), Invalid("ds/a"));
  Run("CLIENT CACHING YES\r\nMULTI\r\nGET ds/a\r\nGET ds/b\r\nEXEC");
  EXPECT_EQ(Change("ds/a") + Change("ds/b"), Invalid("ds/a") + Invalid("ds/b"));
  EXPECT_THAT(Run("CLIENT CACHING NO"), HasSubstr("only valid when tracking is enabled in OPTOUT"));
  Run("CLIENT TRACKING OFF");
  Run("CLIENT TRACKING ON OPTOUT");
  Run("GET ds/a");
  Run("CLIENT CACHING NO");
  Run("GET ds/b");
  EXPECT_EQ(Change("ds/a") + Change("ds/b"), Invalid("ds/a"));
}

TEST_F(TrackingTest, BadInput) {
  for (const auto& [command, error] : std::vector<std::pair<std::string, std::string>>{
           {"CLIENT TRACKING MAYBE", "-ERR syntax error"},
           {"CLIENT TRACKING ON BOGUS", "-ERR syntax error"},
           {"CLIENT TRACKING ON PREFIX", "-ERR syntax error"},
           {"CLIENT TRACKING ON PREFIX x", "-ERR PREFIX option requires BCAST"},
           {"CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible"},
           {"CLIENT TRACKING ON OPTIN OPTOUT", "-ERR You can't specify both"},
           {"CLIENT TRACKING ON BCAST PREFIX ab PREFIX abc", "-ERR Prefix 'abc' overlaps"},
           {"CLIENT TRACKING ON REDIRECT 999", "-ERR The client ID you want redirect to"},
           {"CLIENT TRACKING ON REDIRECT x", "-ERR value is not an integer"},
           {"CLIENT TRACKING ON REDIRECT 7 REDIRECT 7", "-ERR A client can only redirect"},
           {"CLIENT CACHING YES", "-ERR CLIENT CACHING can be called only when"}}) {
    EXPECT_THAT(Run(command), HasSubstr(error)) << command;
  }
  Run("CLIENT TRACKING ON");
  EXPECT_THAT(Run("CLIENT TRACKING ON BCAST"), HasSubstr("You can't switch BCAST mode"));
  EXPECT_THAT(Run("CLIENT TRACKING ON OPTIN"), HasSubstr("You can't switch OPTIN/OPTOUT mode"));
}

TEST_F(TrackingTest, InfoAndRedirection) {
  EXPECT_EQ(Run("CLIENT GETREDIR"), ":-1\r\n");
  EXPECT_EQ(Run("CLIENT TRACKINGINFO"),
            "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n"
            "*0\r\n");
  auto listener = std::make_unique<Session>(8, parts_->services);
  Send(*listener, "SUBSCRIBE __redis__:invalidate\r\n");
  EXPECT_EQ(Run("CLIENT TRACKING ON REDIRECT 8 NOLOOP"), kOk);
  EXPECT_EQ(Run("CLIENT GETREDIR"), ":8\r\n");
  EXPECT_THAT(Run("CLIENT TRACKINGINFO"), HasSubstr("$6\r\nnoloop\r\n$8\r\nredirect\r\n:8"));
  Run("GET ds/a");
  EXPECT_EQ(Change("ds/a"), "");
  EXPECT_EQ(Output(*listener),
            "*3\r\n$7\r\nmessage\r\n" + Bulk("__redis__:invalidate") + "*1\r\n" + Bulk("ds/a"));
  parts_->tracking.OnAllChanged();
  EXPECT_EQ(Output(*listener),
            "*3\r\n$7\r\nmessage\r\n" + Bulk("__redis__:invalidate") + "$-1\r\n");
  listener.reset();
  Run("GET ds/a");
  EXPECT_EQ(Change("ds/a"), ">2\r\n$21\r\ntracking-redir-broken\r\n:8\r\n");
  EXPECT_THAT(Run("CLIENT TRACKINGINFO"), HasSubstr("broken_redirect"));
}

TEST_F(TrackingTest, AllMayHaveChanged) {
  Run("CLIENT TRACKING ON");
  Run("GET ds/a");
  parts_->tracking.OnAllChanged();
  EXPECT_EQ(Output(), kAllInvalid);
  EXPECT_EQ(Change("ds/a"), "");
}

TEST_F(TrackingTest, TheTableIsBounded) {
  Run("CLIENT TRACKING ON");
  EXPECT_EQ(Run("MGET ds/a ds/b ds/c ds/d"),
            "*4\r\n$2\r\nva\r\n$2\r\nvb\r\n$2\r\nvc\r\n$2\r\nvd\r\n");
  EXPECT_EQ(parts_->tracking.keys(), 4u);
  const std::string reply = Run("GET ds/e");
  EXPECT_THAT(reply, HasSubstr(">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nds/"));
  EXPECT_THAT(reply, HasSubstr("$2\r\nve\r\n"));
  EXPECT_EQ(parts_->tracking.keys(), 4u);
}

TEST_F(TrackingTest, OwnWritesAreNotToldWithNoLoop) {
  Run("CLIENT TRACKING ON NOLOOP");
  Run("GET ds/a");
  Run("SET ds/a 1");
  EXPECT_EQ(Change("ds/a", At(11)), "");  // perhaps its own: wait for the outcome
  EXPECT_EQ(SettleOk(11), kOk);           // it was
  Run("GET ds/b");
  Run("SET ds/b 1");
  EXPECT_EQ(Change("ds/b", At(12)), "");
  EXPECT_THAT(SettleOk(13), HasSubstr(Invalid("ds/b")));  // it was somebody else's
}

TEST_F(TrackingTest, WhatTheControlPlaneAnswersIsNotKept) {
  auto status = std::make_shared<AgentStatus>(*board_.Get());
  status->copies.push_back({.collection = {"ds", ""}});
  board_.Put(status);
  Run("CLIENT TRACKING ON");
  EXPECT_EQ(Run("TRIB.GET ds/a STRONG"), "");
  ASSERT_EQ(asked_.size(), 1u);
  ReadAnswer answer{.status = common::OkStatus(), .entries = {{.key = "a"}}};
  session_->OnAnswer(asked_.front().ticket, "ds", std::move(answer));
  EXPECT_EQ(Output(), "_\r\n" + Invalid("ds/a"));
}

// Later it could meet a read under way, whose reply node-redis would then keep for good.
TEST_F(TrackingTest, StricterConsistencyTakesBackWithItsReply) {
  auto status = std::make_shared<AgentStatus>(*board_.Get());
  status->copies.push_back({.collection = {"ds", ""}, .proven_at = clock_.now});
  board_.Put(status);
  Run("CLIENT TRACKING ON");
  EXPECT_EQ(Run("TRIB.CONSISTENCY STRONG"), kOk + kAllInvalid);
  session_->CheckKept();
  EXPECT_EQ(Output(), "");
  EXPECT_EQ(Run("TRIB.CONSISTENCY EVENTUAL"), kOk);
  EXPECT_EQ(Run("TRIB.CONSISTENCY BOUNDED 5000"), kOk);  // the copy is fresh enough
}

TEST_F(TrackingTest, AStaleCopyTakesBackWhatIsKept) {
  auto status = std::make_shared<AgentStatus>(*board_.Get());
  CopyStatus copy{.collection = {"ds", ""}, .proven_at = clock_.now};
  copy.consistency = {common::ConsistencyLevel::kBounded, std::chrono::milliseconds(500),
                      common::OnStale::kError};
  status->copies.push_back(copy);
  board_.Put(status);
  Run("CLIENT TRACKING ON");
  Run("GET ds/a");
  session_->CheckKept();
  EXPECT_EQ(Output(), "");
  clock_.now += std::chrono::milliseconds(501);
  session_->CheckKept();
  EXPECT_EQ(Output(), kAllInvalid);
  session_->CheckKept();
  EXPECT_EQ(Output(), "");  // once
}

}  // namespace
}  // namespace agent
