// Cuts, freshness, what to carry, storage failures, against a scripted server. The protocol's own
// scenarios are in client_test.cc, foreign servers in foreign_test.cc.
#include "agent/xds/sync_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/xds/sync_fixture.h"
#include "common/limits.h"

namespace agent {
namespace {

using common::Collection;
using common::DeltaRequest;
using common::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

class SyncCoreTest : public SyncFixture {};

// --- cuts ---------------------------------------------------------------------------------------

// What several copies hold back in memory is written at once, each with its own keys; those with
// escapes in their names do not lie in the message.
TEST_F(SyncCoreTest, WhatTwoCopiesHoldBackIsWrittenTogether) {
  const Collection stock{.dataset = "stock", .prefix = ""};
  sync_.subscribe.push_back(*common::ParseSubscribeFlag("stock"));
  Connect();
  FirstEntryRequest();
  Begin(kPrices, At(5));
  Begin(stock, At(5));
  const std::string key = "spaces in a key that is no short string";
  Respond(Entries("n1").Entry("prices", key, At(3), "1"));
  Respond(Entries("n2").Entry("stock", key, At(4), "2"));
  After(common::kHeldMax + milliseconds(1));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  Respond(Entries("n3").Complete(kPrices, At(5)));
  Respond(Entries("n4").Complete(stock, At(5)));
  EXPECT_EQ(Get("prices", key), "1");
  EXPECT_EQ(Get("stock", key), "2");
}

TEST_F(SyncCoreTest, ACutIsInvisibleUntilItsMarkerAndUnacknowledgedUntilDurable) {
  LoadPrices();
  Respond(Entries("n1").Entry("prices", "a", At(6), "3"));
  Respond(Entries("n2").Entry("prices", "b", At(6), "4"));
  EXPECT_EQ(EntryAnswer(), "");
  EXPECT_EQ(Get("prices", "a"), "1");
  Respond(Entries("n3").Entry("prices", "c", At(6), "5").Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(EntryAnswer(), "ACK n2");
  EXPECT_EQ(EntryAnswer(), "ACK n3");
  EXPECT_EQ(Get("prices", "a") + Get("prices", "b") + Get("prices", "c"), "345");
}

TEST_F(SyncCoreTest, AHugeCutIsStagedAndAcknowledgedBeforeItsMarker) {
  LoadPrices();
  const std::string value(common::kMiB, 'x');
  for (int i = 0; i < 18; ++i) {
    Respond(Entries(std::to_string(i)).Entry("prices", fmt::format("k{}", i), At(6), value));
  }
  EXPECT_EQ(EntryAnswer(), "ACK 0") << "or the server's window fills and both wait";
  EXPECT_EQ(Get("prices", "k0"), "<none>") << "staged, not visible";
  Respond(Entries("end").Complete(kPrices, At(6)));
  EXPECT_EQ(Get("prices", "k0").size(), value.size());
  EXPECT_EQ(Get("prices", "k17").size(), value.size());
}

TEST_F(SyncCoreTest, AStagedCutThatIsNotFinishedIsForgotten) {
  LoadPrices();
  const std::string value(common::kMiB, 'x');
  for (int i = 0; i < 18; ++i) {
    Respond(Entries(std::to_string(i)).Entry("prices", fmt::format("k{}", i), At(6), value));
  }
  Lose();
  Connect();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5");
  Respond(Entries("m").Entry("prices", "a", At(7), "7").Complete(kPrices, At(7)));
  EXPECT_EQ(Scan("prices"), "a b");
}

TEST_F(SyncCoreTest, SilenceMakesWhatIsHeldDurable) {
  Connect();
  FirstEntryRequest();
  Begin(kPrices, At(9));
  Respond(Entries("n1").Entry("prices", "a", At(3), "1"));
  EXPECT_EQ(EntryAnswer(), "");
  After(milliseconds(60));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  Restart();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.9.a") << "the load resumes";
  Respond(Entries("n2").Entry("prices", "b", At(5), "2").Complete(kPrices, At(9)));
  EXPECT_EQ(Scan("prices"), "a b");
}

TEST_F(SyncCoreTest, AReloadServesTheOldCopyUntilItsEnd) {
  LoadPrices();
  Begin(kPrices, At(20));
  Respond(Entries("n1").Entry("prices", "z", At(19), "new"));
  EXPECT_EQ(Status().phase, CopyPhase::kReloading);
  EXPECT_EQ(Scan("prices"), "a b");
  Respond(Entries("n2").Complete(kPrices, At(20)));
  EXPECT_EQ(Scan("prices"), "z");
  EXPECT_EQ(Status().phase, CopyPhase::kSynced);
}

// --- freshness ----------------------------------------------------------------------------------

class FreshnessTest : public SyncFixture {
 protected:
  static ResponseBuilder States(std::string nonce) {
    return ResponseBuilder(common::kDatasetStateType, std::move(nonce));
  }
  std::string StateAnswer() { return server_.TakeAnswer(common::kDatasetStateType); }
  common::Digest CopyDigest() {
    for (const CopyState& copy : writer_->Copies()) return copy.digest;
    return {};
  }
};

TEST_F(FreshnessTest, AnAnswerProvesFreshnessAsOfTheQuestion) {
  LoadPrices();
  const auto asked = clock_.now;
  EXPECT_FALSE(Status().proven_at.has_value()) << "unknown is not fresh";
  clock_.now += milliseconds(300);
  Respond(States("s").State("prices", At(5), CopyDigest()));
  EXPECT_EQ(StateAnswer(), "ACK s");
  EXPECT_EQ(Status().proven_at, asked);
  EXPECT_GT(Status().verified_at_ms, 0);
}

TEST_F(FreshnessTest, ProbesOncePerIntervalAndOneQuestionAtATime) {
  LoadPrices();
  server_.requests.clear();
  After(milliseconds(1100));
  EXPECT_FALSE(server_.Take(common::kDatasetStateType)) << "the first question is still open";
  Respond(States("s").State("prices", At(5), CopyDigest()));
  EXPECT_EQ(StateAnswer(), "ACK s");
  After(milliseconds(1100));
  const auto probe = server_.Take(common::kDatasetStateType);
  ASSERT_TRUE(probe.has_value());
  EXPECT_EQ(probe->subscribe, Strings{"xdstp:///tributary.v1.DatasetState/prices"});
  EXPECT_TRUE(probe->nonce.empty());
}

TEST_F(FreshnessTest, ACopyBehindIsProvenWhenItGetsThere) {
  LoadPrices();
  Respond(States("s").State("prices", At(7), {}));
  EXPECT_FALSE(Status().proven_at.has_value());
  EXPECT_EQ(Status().head, 7u);
  Respond(Entries("n").Entry("prices", "a", At(8), "8").Complete(kPrices, At(8)));
  EXPECT_TRUE(Status().proven_at.has_value());
}

TEST_F(FreshnessTest, AMismatchIsRejectedCountedAndLoadedAgain) {
  LoadPrices();
  server_.requests.clear();
  // As if "b" should have been removed.
  Respond(States("s").State("prices", At(5), common::EntryHash("a", At(3), "1")));
  EXPECT_EQ(StateAnswer(), "NACK s");
  EXPECT_THAT(server_.last_error, testing::HasSubstr("digest mismatch"));
  const auto leave = server_.Take(common::kEntryType);
  const auto join = server_.Take(common::kEntryType);
  ASSERT_TRUE(leave && join);
  EXPECT_EQ(leave->unsubscribe, Strings{kGlob});
  EXPECT_EQ(join->subscribe, Strings{kGlob});
  EXPECT_TRUE(join->initial_versions.empty());
  EXPECT_TRUE(Status().digest_mismatch);
  EXPECT_FALSE(Status().proven_at.has_value());
  EXPECT_EQ(Status().phase, CopyPhase::kReloading);
  EXPECT_EQ(board_.Get()->digest_mismatches, 1u);
  EXPECT_EQ(Get("prices", "a"), "1") << "the old copy serves until the new one is there";
  Begin(kPrices, At(5));
  Respond(Entries("n").Entry("prices", "a", At(3), "1").Complete(kPrices, At(5)));
  EXPECT_FALSE(Status().digest_mismatch);
}

TEST_F(FreshnessTest, RepeatedMismatchesKeepADistance) {
  LoadPrices();
  int reloads = 0;
  for (int second = 0; second < 600; ++second) {
    After(seconds(1));
    while (const auto request = server_.Take(common::kEntryType)) {
      if (request->subscribe.empty()) continue;
      ++reloads;
      Begin(kPrices, At(5));
      Respond(Entries("n").Complete(kPrices, At(5)));
    }
    server_.requests.clear();
    Respond(States("s").State("prices", At(5), {.low = 1, .high = 2}));
  }
  EXPECT_GT(reloads, 2);
  EXPECT_LT(reloads, 20);
}

TEST_F(FreshnessTest, AFaultLoadsTheCopyAgainEvenAfterAReconnect) {
  LoadPrices();
  Lose();
  core_->OnFault(kPrices);
  EXPECT_EQ(Status().phase, CopyPhase::kFaulted);
  Connect();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "") << "no cursor: all of it, please";
  Begin(kPrices, At(5));
  Respond(Entries("n").Entry("prices", "a", At(3), "1").Complete(kPrices, At(5)));
  EXPECT_EQ(Status().phase, CopyPhase::kSynced);
}

// --- what to carry ------------------------------------------------------------------------------

TEST_F(SyncCoreTest, WhatIsWantedSurvivesARestartWithoutServer) {
  sync_.subscribe.clear();
  Connect();
  Respond(ResponseBuilder(common::kSubscriptionType, "s1").Subscribe("web", "p", kPrices));
  Begin(kPrices, At(5));
  Respond(Entries("n1").Entry("prices", "a", At(3), "1").Complete(kPrices, At(5)));
  core_.reset();
  server_.requests.clear();
  Reopen();
  MakeCore();
  EXPECT_EQ(Get("prices", "a"), "1");
  EXPECT_TRUE(board_.Get()->wanted_known);
  Connect();
  const auto first = server_.Take(common::kSubscriptionType);
  ASSERT_TRUE(first.has_value());
  ASSERT_EQ(first->initial_versions.size(), 1u);
  EXPECT_EQ(first->initial_versions[0].first, common::SubscriptionName("web", "p"));
  Respond(ResponseBuilder(common::kSubscriptionType, "s2")
              .Remove(common::SubscriptionName("web", "p")));
  EXPECT_EQ(Get("prices", "a"), "<not subscribed>") << "withdrawn while it was away";
}

TEST_F(SyncCoreTest, WhatIsReadThroughHasNoCopy) {
  Connect();
  Respond(ResponseBuilder(common::kSubscriptionType, "s1")
              .Subscribe("web", "o", {"orders", ""}, common::Mode::kReadThrough));
  EXPECT_EQ(server_.TakeAnswer(common::kSubscriptionType), "ACK s1");
  EXPECT_EQ(Status("orders").phase, CopyPhase::kReadThrough);
  EXPECT_EQ(Get("orders", "x"), "<not subscribed>");
}

TEST_F(SyncCoreTest, ABadSubscriptionIsRejectedAndTheOthersAreTaken) {
  Connect();
  Respond(ResponseBuilder(common::kSubscriptionType, "s1")
              .Resource(common::SubscriptionName("web", "bad"), "1", "\xff")
              .Subscribe("web", "o", {"orders", ""}));
  EXPECT_EQ(server_.TakeAnswer(common::kSubscriptionType), "NACK s1");
  EXPECT_THAT(server_.last_error, testing::HasSubstr("web/bad"));
  EXPECT_EQ(Get("orders", "x"), "<loading>");
}

TEST_F(SyncCoreTest, AnUndecodableResponseEndsTheStream) {
  LoadPrices();
  core_->OnResponse(std::make_shared<const std::string>("\xff\xff\xff"));
  ASSERT_TRUE(server_.closed.has_value());
  EXPECT_EQ(Get("prices", "a"), "1");
}

// --- storage failures ---------------------------------------------------------------------------

TEST_F(SyncCoreTest, AFullMapStopsApplyingNotReadingAndRecovers) {
  LoadPrices();
  Close();
  core_.reset();
  options_.map_bytes = 1 << 20;
  Open();
  server_.requests.clear();
  Connect();
  const std::string value(900'000, 'x');
  Respond(Entries("n1")
              .Entry("prices", "c", At(6), value)
              .Entry("prices", "d", At(6), value)
              .Complete(kPrices, At(6)));
  ASSERT_TRUE(server_.closed.has_value()) << "no NACK: the data is right, the disk is full";
  EXPECT_EQ(EntryAnswer(), "");
  Lose();
  EXPECT_FALSE(core_->proved()) << "so the next try waits longer";
  After(milliseconds(60));
  EXPECT_NE(board_.Get()->apply_error, "");
  EXPECT_EQ(Get("prices", "a"), "1");
  Connect();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5");
  Respond(Entries("m1").Entry("prices", "c", At(7), "small").Complete(kPrices, At(7)));
  EXPECT_EQ(EntryAnswer(), "ACK m1");
  EXPECT_EQ(Get("prices", "c"), "small");
  EXPECT_TRUE(core_->proved());
  After(milliseconds(60));
  EXPECT_EQ(board_.Get()->apply_error, "");
}

}  // namespace
}  // namespace agent
