// Goal: when the way changes in which a dataset is carried, there is always somebody who answers,
// and never with what nobody has proven.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/xds/sync_fixture.h"

namespace agent {
namespace {

class ModesTest : public SyncFixture {
 protected:
  void SetUp() override {
    SyncFixture::SetUp();
    sync_.subscribe.clear();
    Connect("tributary");
  }
  void Declare(common::Mode mode, const std::string& prefix = "", const std::string& name = "s") {
    const std::string nonce = fmt::format("mode{}", ++declared_);
    Respond(ResponseBuilder(common::kSubscriptionType, nonce)
                .From("tributary")
                .Subscribe("web", name, {"prices", prefix}, mode));
    ASSERT_EQ(server_.TakeAnswer(common::kSubscriptionType), "ACK " + nonce);
  }
  ResponseBuilder Reply(const std::string& nonce) { return Entries(nonce).From("tributary"); }
  void Load() {
    Respond(Reply("b").Begin(kPrices, At(5)));
    Respond(Reply("l").Entry("prices", "a", At(3), "1").Complete(kPrices, At(5)));
    Respond(ResponseBuilder(common::kDatasetStateType, "head")
                .From("tributary")
                .State("prices", At(5), common::EntryHash("a", At(3), "1")));
  }
  std::string Sentinel() { return common::EntryName("prices", std::string(1, '\0')); }
  bool Remote() {
    const auto status = board_.Get();
    const CopyStatus* copy = status->Covering("prices", "a");
    return copy != nullptr && copy->bridged;
  }

  int declared_ = 0;
};

TEST_F(ModesTest, FromAWholeCopyToOneByName) {
  Declare(common::Mode::kReplicate);
  Load();
  After(std::chrono::milliseconds(60));
  EXPECT_FALSE(Remote());
  Declare(common::Mode::kOnDemand);
  EXPECT_TRUE(Remote()) << "told before the copy went";
  After(std::chrono::milliseconds(60));
  EXPECT_TRUE(Remote()) << "the new one has not been proven";
  EXPECT_EQ(Get("prices", "a"), "<not held>");
  Respond(Reply("n").Remove(Sentinel()));
  After(std::chrono::milliseconds(60));
  EXPECT_FALSE(Remote());
}

TEST_F(ModesTest, FromACopyByNameToAWholeOne) {
  Declare(common::Mode::kOnDemand);
  Respond(Reply("n").Remove(Sentinel()));
  After(std::chrono::milliseconds(60));
  EXPECT_FALSE(Remote());
  Declare(common::Mode::kReplicate);
  EXPECT_TRUE(Remote());
  After(std::chrono::milliseconds(60));
  EXPECT_TRUE(Remote()) << "it is being loaded";
  Load();
  After(std::chrono::milliseconds(60));
  EXPECT_FALSE(Remote());
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ModesTest, ReadersOfACopyThatHasGoneAreSentOn) {
  Declare(common::Mode::kOnDemand);
  std::vector<common::StatusCode> told;
  const auto ask = [&] {
    DemandQuestion question{.dataset = "prices",
                            .keys = {"a"},
                            .deadline = clock_.now + std::chrono::seconds(5),
                            .done = {}};
    question.done = [&told](const DemandAnswer& answer) { told.push_back(answer.status.code()); };
    std::vector<DemandQuestion> questions;
    questions.push_back(std::move(question));
    core_->OnAsked(std::move(questions));
  };
  ask();
  Declare(common::Mode::kReplicate);
  ask();
  EXPECT_THAT(told, testing::ElementsAre(common::StatusCode::kFailedPrecondition,
                                         common::StatusCode::kFailedPrecondition));
}

TEST_F(ModesTest, APartMayBeWholeInsideACopyByName) {
  Declare(common::Mode::kOnDemand);
  Declare(common::Mode::kReplicate, "eu-", "part");
  const common::Collection part{"prices", "eu-"};
  Respond(Reply("b").Begin(part, At(5)));
  Respond(Reply("l").Entry("prices", "eu-1", At(3), "1").Complete(part, At(5)));
  EXPECT_EQ(Get("prices", "eu-1"), "1");
  EXPECT_EQ(Get("prices", "eu-2"), "<none>") << "all of the part is here";
  EXPECT_EQ(Get("prices", "us-1"), "<not held>");
  std::vector<DemandAnswer> answers;
  DemandQuestion question{.dataset = "prices",
                          .keys = {"us-1"},
                          .deadline = clock_.now + std::chrono::seconds(5),
                          .done = {}};
  question.done = [&answers](DemandAnswer answer) { answers.push_back(std::move(answer)); };
  std::vector<DemandQuestion> questions;
  questions.push_back(std::move(question));
  core_->OnAsked(std::move(questions));
  Respond(Reply("n").Entry("prices", "us-1", At(4), "4"));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].entries.at(0).value, "4");
  EXPECT_EQ(Get("prices", "us-1"), "4");
}

}  // namespace
}  // namespace agent
