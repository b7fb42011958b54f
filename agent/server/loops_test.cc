// Two loops of one agent, each step by hand: what one must know of the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// The fixture's session is client 7 on loop 0; `there_` is client 8 on loop 1.
class LoopsTest : public SessionFixture {
 protected:
  void SetUp() override {
    SessionFixture::SetUp();
    auto made = cache_->MakeReader();
    ASSERT_TRUE(made.ok());
    other_parts_ = std::make_unique<LoopParts>(*std::move(made), board_, clock_, shared_,
                                               parts_->services.identity, /*alone=*/false);
    other_parts_->services.submit = [](auto, auto, auto) {};
    other_parts_->services.ask = [this](auto session, auto ticket, auto question) {
      asked_.push_back({session, ticket, question});
    };
    other_parts_->services.loop = 1;
    other_loop_.services = &other_parts_->services;
    shared_.loops.push_back(&other_loop_);
    there_ = std::make_unique<Session>(8, other_parts_->services);
  }
  void TearDown() override {
    there_.reset();
    other_parts_.reset();
    SessionFixture::TearDown();
  }

  static void Answer(FakeLoop& loop) {
    for (const auto& question : std::exchange(loop.questions, {})) question(*loop.services);
  }
  void Declare(const std::string& dataset, common::Mode mode) {
    auto status = std::make_shared<AgentStatus>();
    status->wanted_known = true;
    status->copies = {{.collection = {dataset, ""}, .mode = mode, .proven_at = clock_.now}};
    board_.Put(std::move(status));
    parts_->snapshot.Release();
    other_parts_->snapshot.Release();
  }

  std::unique_ptr<LoopParts> other_parts_;
  FakeLoop other_loop_;
  std::unique_ptr<Session> there_;
};

// Goal: who has seen a commit on one loop sees it on the other, also within a turn that began
// before.
TEST_F(LoopsTest, InputAfterACommitIsAnsweredFromIt) {
  Load("ds", {"a"});
  there_->Receive("GET ds/a\r\n");  // the turn takes its snapshot
  EXPECT_EQ(std::exchange(there_->output(), {}), "$2\r\nva\r\n");
  Put("ds", "a", "new");
  EXPECT_EQ(Send("GET ds/a\r\n"), "$3\r\nnew\r\n");
  there_->Receive("GET ds/a\r\n");  // of the same input: the same instant
  EXPECT_EQ(std::exchange(there_->output(), {}), "$2\r\nva\r\n");
  other_parts_->snapshot.OnInput();  // as the connection does for each
  there_->Receive("GET ds/a\r\n");
  EXPECT_EQ(std::exchange(there_->output(), {}), "$3\r\nnew\r\n");
  const auto before = other_parts_->snapshot.Take();
  other_parts_->snapshot.OnInput();
  ASSERT_TRUE(before.ok());
  EXPECT_TRUE((*before)->IsNewest()) << "no commit, so no need for another snapshot";
}

TEST_F(LoopsTest, AKeyWrittenOnOneLoopIsReadStrongOnTheOther) {
  const common::Collection named{.dataset = "named", .prefix = ""};
  ASSERT_TRUE(writer_->Add(named, /*by_name=*/true).ok());
  ASSERT_TRUE(writer_->BeginLoad(named, At(1)).ok() && writer_->Apply(named, {}, At(1)).ok());
  Declare("named", common::Mode::kOnDemand);
  Send(*there_, "GET named/k\r\nGET named/other\r\n");
  EXPECT_EQ(asked_.front().question.kind, ReadQuestion::Kind::kOnDemand);
  asked_.clear();
  Send("SET named/k 1\r\n");
  EXPECT_EQ(SettleOk(2), "+OK\r\n");
  other_parts_->snapshot.Release();
  there_ = nullptr;
  there_ = std::make_unique<Session>(8, other_parts_->services);
  Send(*there_, "GET named/k\r\nGET named/other\r\n");
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_EQ(asked_[0].question.kind, ReadQuestion::Kind::kStrong);
  EXPECT_EQ(asked_[1].question.kind, ReadQuestion::Kind::kOnDemand);
}

// A question that was under way when the key was written is answered with what was before.
TEST_F(LoopsTest, AnOlderAnswerDoesNotHideAWrite) {
  const common::Collection named{.dataset = "named", .prefix = ""};
  ASSERT_TRUE(writer_->Add(named, /*by_name=*/true).ok());
  ASSERT_TRUE(writer_->BeginLoad(named, At(1)).ok() && writer_->Apply(named, {}, At(1)).ok());
  Declare("named", common::Mode::kOnDemand);
  Send("SET named/k new\r\n");
  EXPECT_EQ(SettleOk(3), "+OK\r\n");
  Changes older, newer;
  older.Put("k", At(1), "old");
  ASSERT_TRUE(writer_->Apply(named, older.Views(), At(2)).ok());
  parts_->snapshot.Release();
  EXPECT_EQ(Send("GET named/k\r\n"), "");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].question.kind, ReadQuestion::Kind::kStrong);
  newer.Put("k", At(3), "new");
  ASSERT_TRUE(writer_->Apply(named, newer.Views(), At(2)).ok());
  other_parts_->snapshot.Release();
  there_->Receive("GET named/k\r\n");
  EXPECT_EQ(std::exchange(there_->output(), {}), "$3\r\nnew\r\n");
}

TEST_F(LoopsTest, ClientListAsksTheOthersAndKeepsTheOrderOfReplies) {
  there_->client().name = "joe";
  EXPECT_EQ(Send("CLIENT LIST\r\nPING\r\n"), "");
  Answer(other_loop_);
  Answer(loop_);
  const std::string reply = Output();
  EXPECT_THAT(reply, HasSubstr("id=7 "));
  EXPECT_THAT(reply, HasSubstr("\nid=8 addr=/run/s:0 laddr=/run/s:0 fd=-1 name=joe "));
  EXPECT_TRUE(reply.ends_with("\n\r\n+PONG\r\n")) << reply;
  EXPECT_EQ(Send("CLIENT LIST ID 9\r\n"), "");
  Answer(other_loop_);
  Answer(loop_);
  EXPECT_EQ(Output(), "$0\r\n\r\n");
}

TEST_F(LoopsTest, ClientListDoesWithoutALoopThatHasEnded) {
  other_loop_.ended = true;
  EXPECT_THAT(Send("CLIENT LIST\r\nPING\r\n"), HasSubstr("id=7 "));
  other_loop_.ended = false;
  Send("CLIENT LIST\r\n");
  session_.reset();  // it goes before the answer comes
  Answer(other_loop_);
  Answer(loop_);
}

TEST_F(LoopsTest, ClientListInsideATransactionIsRefused) {
  Send("MULTI\r\nCLIENT LIST\r\nPING\r\n");
  EXPECT_THAT(Send("EXEC\r\n"), testing::StartsWith("*2\r\n-ERR CLIENT LIST inside MULTI"));
  EXPECT_THAT(other_loop_.questions, IsEmpty());
}

TEST_F(LoopsTest, InfoCountsTheClientsOfAll) {
  Send(*there_, "SUBSCRIBE __keyevent@0__:set __keyevent@0__:del\r\n");
  const std::string info = Send("INFO\r\n");
  EXPECT_THAT(info, HasSubstr("connected_clients:2\r\n"));
  EXPECT_THAT(info, HasSubstr("pubsub_clients:1\r\n"));
  EXPECT_THAT(info, HasSubstr("total_commands_processed:2\r\n"));
  there_.reset();
  EXPECT_THAT(Send("INFO clients\r\n"), HasSubstr("connected_clients:1\r\n"));
  EXPECT_THAT(Send("INFO clients\r\n"), HasSubstr("pubsub_clients:0\r\n"));
}

TEST_F(LoopsTest, InvalidationsAreRedirectedToTheOtherLoop) {
  Load("ds", {"a"});
  while (shared_.clients.Admit()->client < 8) {
  }
  ASSERT_EQ(shared_.clients.LoopOf(8), 1u);
  Send("HELLO 3\r\n");
  EXPECT_EQ(Send("CLIENT TRACKING ON REDIRECT 8\r\n"), "+OK\r\n");
  Send("GET ds/a\r\n");
  parts_->tracking.OnChanged("ds/a", At(12));
  parts_->tracking.OnAllChanged();
  EXPECT_EQ(Output(), "");
  EXPECT_THAT(other_loop_.invalidated, ElementsAre(Pair(8, "ds/a"), Pair(8, "everything")));
  shared_.clients.Remove(8);
  parts_->tracking.OnAllChanged();
  EXPECT_EQ(Output(), ">2\r\n$21\r\ntracking-redir-broken\r\n:8\r\n");
  EXPECT_THAT(Send("CLIENT TRACKING ON REDIRECT 8\r\n"), HasSubstr("does not exist"));
}

}  // namespace
}  // namespace agent
