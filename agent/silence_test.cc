// A control plane that falls silent while its connection stays open: bounded reads fail when their
// bound is over, by the clock alone, whatever the sync thread waits for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/server/loop_parts.h"
#include "agent/server/session.h"
#include "agent/xds/sync_fixture.h"

namespace agent {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

class SilenceTest : public SyncFixture {
 protected:
  static constexpr milliseconds kBound{5'000};

  void SetUp() override {
    SyncFixture::SetUp();
    auto made = cache_->MakeReader();
    ASSERT_TRUE(made.ok());
    parts_ = std::make_unique<LoopParts>(*std::move(made), board_, clock_, shared_,
                                         ServerIdentity{.service = "web"});
    session_ = std::make_unique<Session>(1, parts_->services);
  }
  void TearDown() override {
    session_.reset();
    parts_.reset();
    SyncFixture::TearDown();
  }

  std::string Send(const std::string& command) {
    session_->Receive(command + "\r\n");
    session_->ClearTouched();
    parts_->services.touched.clear();
    parts_->snapshot.Release();
    return std::exchange(session_->output(), {});
  }
  // The newest question about the head is answered.
  void AnswerState(const common::Digest& digest) {
    Respond(ResponseBuilder(common::kDatasetStateType, "d").State("prices", At(5), digest));
  }
  common::Digest DigestOfCopy() const { return writer_->Copies().at(0).digest; }
  // A second of questions and answers, half a round trip each.
  void ProveForAWhile() {
    for (int i = 0; i < 10; ++i) {
      After(milliseconds(100));
      AnswerState(DigestOfCopy());
    }
  }
  // How long after now `command` is refused for the first time; each millisecond is tried, and
  // what is eventual is answered in each.
  milliseconds FirstRefusal(const std::string& command) {
    const common::MonotonicTime silent = clock_.now;
    while (clock_.now - silent <= kBound + std::chrono::seconds(1)) {
      After(milliseconds(1));
      EXPECT_EQ(Send("GET prices/a"), "$1\r\n1\r\n");
      const std::string reply = Send(command);
      if (reply == "$1\r\n1\r\n") continue;
      EXPECT_THAT(reply, StartsWith("-STALE"));
      EXPECT_THAT(reply, HasSubstr("bound 5000 ms"));
      return std::chrono::duration_cast<milliseconds>(clock_.now - silent);
    }
    ADD_FAILURE() << "never refused";
    return {};
  }

  SharedServices shared_{/*threads=*/1, common::kClientsMax};
  std::unique_ptr<LoopParts> parts_;
  std::unique_ptr<Session> session_;
};

TEST_F(SilenceTest, ABoundedReadFailsWhenTheBoundIsOver) {
  LoadPrices();
  ProveForAWhile();
  // What was proven last was asked for up to an interval before the silence.
  const milliseconds first = FirstRefusal("TRIB.GET prices/a MAXSTALE 5000");
  EXPECT_LE(first, kBound + milliseconds(1))
      << "an answer that is just as old as the bound is good";
  EXPECT_GE(first, kBound - sync_.freshness_interval - milliseconds(100));
}

TEST_F(SilenceTest, ItStaysSoUntilTheNextProof) {
  LoadPrices();
  ProveForAWhile();
  EXPECT_EQ(Send("TRIB.CONSISTENCY BOUNDED 5000"), "+OK\r\n");
  EXPECT_EQ(Send("GET prices/a"), "$1\r\n1\r\n");
  for (int second = 1; second <= 120; ++second) {
    After(std::chrono::seconds(1));
    const bool refused = Send("GET prices/a").starts_with("-STALE");
    EXPECT_TRUE(refused || second <= 5) << second;
    if (second == 60) Lose();  // that nobody answered pings is noticed at last
  }
  Connect();
  After(milliseconds(10));
  EXPECT_THAT(Send("GET prices/a"), StartsWith("-STALE")) << "a stream alone proves nothing";
  AnswerState(DigestOfCopy());
  After(milliseconds(60));
  EXPECT_EQ(Send("GET prices/a"), "$1\r\n1\r\n");
}

TEST_F(SilenceTest, KeysThatAreHeldOnDemandAgeJustSo) {
  sync_.subscribe = {*common::ParseSubscribeFlag("prices:onDemand")};
  Connect();
  DemandQuestion question{.dataset = "prices",
                          .keys = {"a"},
                          .deadline = clock_.now + std::chrono::seconds(5),
                          .done = [](const DemandAnswer&) {}};
  std::vector<DemandQuestion> questions;
  questions.push_back(std::move(question));
  core_->OnAsked(std::move(questions));
  Respond(Entries("n").Entry("prices", "a", At(5), "1"));
  for (int i = 0; i < 20; ++i) {
    After(milliseconds(100));
    Respond(Entries("s").Remove(common::EntryName("prices", std::string(1, '\0'))));
  }
  const milliseconds first = FirstRefusal("TRIB.GET prices/a MAXSTALE 5000");
  EXPECT_LE(first, kBound + milliseconds(1))
      << "an answer that is just as old as the bound is good";
  EXPECT_GE(first, kBound - sync_.freshness_interval - milliseconds(100));
}

}  // namespace
}  // namespace agent
