// Goal: a copy of another history is made right by digests; only what differs is sent, and readers
// see the old copy until all of the new one is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "agent/xds/sync_fixture.h"
#include "common/buckets.h"

namespace agent {
namespace {

constexpr std::size_t kBuckets = 64;
constexpr common::Epoch kNewEpoch = 0xbbbb;

class RepairTest : public SyncFixture {
 protected:
  void SetUp() override {
    SyncFixture::SetUp();
    ASSERT_NE(common::BucketOf("a", kBuckets), common::BucketOf("b", kBuckets));
  }
  static common::Version New(common::Revision revision) { return {kNewEpoch, revision}; }
  // A loaded copy, a new stream, and the question.
  void Ask() {
    LoadPrices();
    Lose();
    Connect("tributary");
    EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5");
    Respond(Question("q"));
    ASSERT_EQ(EntryAnswer(), "ACK q");
  }
  static ResponseBuilder Question(const std::string& nonce) {
    return Entries(nonce).Resource(kGlob, common::FormatQuestion(kNewEpoch, kBuckets), "");
  }
  // The markers of a repair in which these keys' buckets differ.
  static ResponseBuilder Markers(const std::string& nonce, const std::vector<std::string>& keys) {
    common::BucketSet differ(kBuckets);
    for (const std::string& key : keys) differ.Add(common::BucketOf(key, kBuckets));
    ResponseBuilder response = Entries(nonce);
    response.Resource(kGlob, common::FormatRepair(New(8)), "");
    for (const auto& [name, version] : differ.Encode(kPrices)) response.Resource(name, version, "");
    return response;
  }
  std::optional<common::BucketDigests> Digests(const common::DeltaRequest& request) {
    return common::BucketDigests::Decode(
        kPrices, kBuckets, [&](const std::string& name) -> std::optional<std::string_view> {
          for (const auto& [held, version] : request.initial_versions) {
            if (held == name) return version;
          }
          return std::nullopt;
        });
  }
};

TEST_F(RepairTest, AnnouncesThatItCan) {
  OpenStream();
  const auto first = server_.Take(common::kSubscriptionType);
  ASSERT_TRUE(first && first->node);
  EXPECT_THAT(first->node->features, testing::Contains(std::string(common::kBucketsFeature)));
}

TEST_F(RepairTest, TellsDigestsOfWhatItHolds) {
  Ask();
  const common::DeltaRequest answer = FirstEntryRequest();
  EXPECT_THAT(answer.subscribe, testing::ElementsAre(kGlob));
  const auto digests = Digests(answer);
  ASSERT_TRUE(digests.has_value());
  common::BucketDigests expected(kBuckets);
  expected.Add("a", At(3), "1");
  expected.Add("b", At(5), "2");
  EXPECT_EQ(common::BucketSet::Difference(*digests, expected).size(), 0u);
  EXPECT_EQ(Get("prices", "a"), "1") << "it serves on";
}

TEST_F(RepairTest, KeepsWhatIsRightAndDropsTheRest) {
  Ask();
  Respond(Markers("r", {"b", "c"}));
  EXPECT_EQ(EntryAnswer(), "ACK r");
  EXPECT_EQ(Get("prices", "b"), "2") << "the old copy serves";
  EXPECT_EQ(Status().phase, CopyPhase::kReloading);
  Respond(Entries("e").Entry("prices", "c", New(6), "new"));
  Respond(Entries("d").Entry("prices", "a", New(9), "changed since").Complete(kPrices, New(9)));
  EXPECT_EQ(Get("prices", "a"), "changed since");
  EXPECT_EQ(Get("prices", "b"), "<none>") << "it was in a bucket that was sent anew, without it";
  EXPECT_EQ(Get("prices", "c"), "new");
  EXPECT_EQ(Status().cursor, New(9));
}

TEST_F(RepairTest, RemovalsSinceTheScanReachWhatWasKept) {
  Ask();
  Respond(Markers("r", {}));
  Respond(Entries("d").Remove(common::EntryName("prices", "a")).Complete(kPrices, New(9)));
  EXPECT_EQ(Get("prices", "a"), "<none>");
  EXPECT_EQ(Get("prices", "b"), "2");
}

TEST_F(RepairTest, InterruptedItStartsOverWithTheOldCursor) {
  for (const bool killed : {false, true}) {
    SCOPED_TRACE(killed ? "killed" : "disconnected");
    if (!killed) Ask();
    Respond(Markers("r", {"b"}));
    Respond(Entries("e").Entry("prices", "b", New(7), "half"));
    if (killed) {
      core_.reset();
      server_.requests.clear();
      Reopen();
    } else {
      Lose();
    }
    Connect("tributary");
    EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5");
    EXPECT_EQ(Get("prices", "b"), "2");
    Respond(Question("again"));
    ASSERT_EQ(EntryAnswer(), "ACK again");
    EXPECT_TRUE(Digests(FirstEntryRequest()).has_value());
  }
  Respond(Markers("r2", {"b"}));
  Respond(Entries("e2").Entry("prices", "b", New(8), "whole").Complete(kPrices, New(8)));
  EXPECT_EQ(Get("prices", "b"), "whole");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(RepairTest, ACopyThatIsNotTrustedIsLoadedWhole) {
  LoadPrices();
  Lose();
  Connect("tributary");
  FirstEntryRequest();
  core_->OnFault(kPrices);
  FirstEntryRequest();  // unsubscribes
  FirstEntryRequest();  // and subscribes without a cursor
  Respond(Question("q"));
  ASSERT_EQ(EntryAnswer(), "ACK q");
  const common::DeltaRequest answer = FirstEntryRequest();
  EXPECT_THAT(answer.subscribe, testing::ElementsAre(kGlob));
  EXPECT_TRUE(answer.initial_versions.empty());
  Begin(kPrices, New(8));
  Respond(Entries("e").Entry("prices", "b", New(8), "whole").Complete(kPrices, New(8)));
  EXPECT_EQ(Get("prices", "b"), "whole");
  EXPECT_EQ(Get("prices", "a"), "<none>");
}

TEST_F(RepairTest, AMarkerThatDoesNotFitLeadsToALoad) {
  struct Case {
    const char* what;
    std::string name;
    std::string version;
  };
  const std::string good = "m1.0000000000000001";
  for (const Case& c : {Case{"malformed", common::FormatRunName(kGlob, 0, kBuckets), "m1.xyz"},
                        Case{"of another count", common::FormatRunName(kGlob, 0, 128), good}}) {
    SCOPED_TRACE(c.what);
    core_.reset();
    server_.requests.clear();
    Ask();
    FirstEntryRequest();
    Respond(Markers("r", {}).Resource(c.name, c.version, ""));
    EXPECT_EQ(EntryAnswer(), "NACK r");
    const common::DeltaRequest leaves = FirstEntryRequest();
    EXPECT_THAT(leaves.unsubscribe, testing::ElementsAre(kGlob));
    EXPECT_EQ(Get("prices", "b"), "2");
    FirstEntryRequest();
    Begin(kPrices, At(9));
    Respond(Entries("e").Entry("prices", "a", At(3), "1").Complete(kPrices, At(9)));
    EXPECT_EQ(Get("prices", "b"), "<none>");
    Close();
    ASSERT_EQ(std::filesystem::remove_all(options_.dir) > 0, true);
    Open();
  }
}

}  // namespace
}  // namespace agent
