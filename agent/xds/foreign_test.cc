// The agent as a client of servers that know nothing of Tributary: no cursors, no markers, versions
// of their own, times to live; and what it remembers of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/xds/sync_core.h"
#include "agent/xds/sync_fixture.h"
#include "common/limits.h"

namespace agent {
namespace {

using common::DeltaRequest;
using common::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using VersionMap = std::map<std::string, std::string>;

class ForeignTest : public SyncFixture {
 protected:
  static std::string NameOf(const std::string& key) { return common::EntryName("prices", key); }
  // prices = {a: 1, b: 2} in versions of the server's own.
  void LoadForeign() {
    Connect();
    EXPECT_TRUE(Versions(FirstEntryRequest()).empty());
    Respond(Entries("load").Foreign("prices", "a", "v1", "1").Foreign("prices", "b", "v1", "2"));
    ASSERT_EQ(EntryAnswer(), "ACK load");
    Quiet();
    ASSERT_EQ(Scan("prices"), "a b");
  }
};

TEST_F(ForeignTest, AFirstLoadIsCompleteAfterSilenceAndThenEachResponseAtOnce) {
  Connect();
  Respond(Entries("n1").Foreign("prices", "b", "v1", "2"));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  After(sync_.foreign_quiet / 2);
  EXPECT_EQ(Get("prices", "zz"), "<loading>") << "more chunks may come: a nil would be a guess";
  Respond(Entries("n2").Foreign("prices", "a", "v1", "1"));
  After(sync_.foreign_quiet / 2 + milliseconds(1));
  EXPECT_EQ(Get("prices", "a"), "<loading>");
  Quiet();
  EXPECT_EQ(Scan("prices"), "a b");
  Respond(Entries("n3").Foreign("prices", "a", "v2", "3").Remove(NameOf("b")));
  EXPECT_EQ(Get("prices", "a"), "3");
  EXPECT_EQ(Scan("prices"), "a");
}

TEST_F(ForeignTest, AServerThatIsNeverSilentDoesNotHoldTheLoadForEver) {
  Connect();
  for (int i = 0; i < kForeignQuietsMax * 2; ++i) {
    Respond(Entries(std::to_string(i)).Foreign("prices", fmt::format("k{}", i), "v1", "1"));
    After(sync_.foreign_quiet / 2);
  }
  EXPECT_EQ(Get("prices", "k0"), "1");
}

TEST_F(ForeignTest, ResumesByTheVersionsOnDisk) {
  LoadForeign();
  Respond(Entries("n").Foreign("prices", "a", "v2", "3").Foreign("prices", "c", "", "4"));
  Restart();
  EXPECT_EQ(Versions(FirstEntryRequest()), (VersionMap{{"a", "v2"}, {"b", "v1"}, {"c", ""}}));
  // It sends what has changed, removed what is gone; the rest stays.
  Respond(Entries("m").Foreign("prices", "c", "v9", "5").Remove(NameOf("b")));
  EXPECT_EQ(Scan("prices"), "a c");
  EXPECT_EQ(Get("prices", "a"), "3");
  EXPECT_EQ(Get("prices", "c"), "5");
}

TEST_F(ForeignTest, Client04_ARejectedVersionIsNotOfferedTheHeldOneIs) {
  LoadForeign();
  Respond(Entries("n").Resource(NameOf("a"), "v2", "\xff\xff"));
  EXPECT_EQ(EntryAnswer(), "NACK n");
  EXPECT_EQ(Get("prices", "a"), "1");
  Restart();
  EXPECT_EQ(Versions(FirstEntryRequest()), (VersionMap{{"a", "v1"}, {"b", "v1"}}));
}

TEST_F(ForeignTest, Client05_PartOfAResponse) {
  LoadForeign();
  Respond(Entries("n").Foreign("prices", "a", "v2", "3").Resource(NameOf("b"), "v2", "\xff"));
  EXPECT_EQ(EntryAnswer(), "NACK n");
  Restart();
  EXPECT_EQ(Versions(FirstEntryRequest()), (VersionMap{{"a", "v2"}, {"b", "v1"}}));
}

TEST_F(ForeignTest, Client09_ARemovedNameIsNotOffered) {
  LoadForeign();
  Respond(Entries("n").Remove(NameOf("a")));
  Restart();
  const DeltaRequest request = FirstEntryRequest();
  EXPECT_EQ(Versions(request), (VersionMap{{"b", "v1"}}));
  EXPECT_EQ(request.subscribe, Strings{kGlob});
}

TEST_F(ForeignTest, Client12_EmptyIsAnAnswer) {
  Connect();
  Respond(Entries("n"));
  EXPECT_EQ(EntryAnswer(), "ACK n");
  EXPECT_EQ(Get("prices", "a"), "<none>");
  EXPECT_EQ(Status().phase, CopyPhase::kSynced);
}

TEST_F(ForeignTest, Client22_HeartbeatsRenewAndSilenceEnds) {
  LoadForeign();
  const std::string payload = ResponseBuilder::Payload("9");
  Respond(Entries("n1").Ttl(NameOf("a"), "v2", 10, payload));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  for (int i = 0; i < 5; ++i) {
    After(seconds(8));
    Respond(Entries("beat").Ttl(NameOf("a"), "v2", 10));
    EXPECT_EQ(EntryAnswer(), "ACK beat");
    EXPECT_EQ(Get("prices", "a"), "9") << "the payload is untouched";
  }
  After(seconds(9));
  EXPECT_EQ(Get("prices", "a"), "9");
  After(seconds(2));
  EXPECT_EQ(Get("prices", "a"), "<none>");
  EXPECT_EQ(Get("prices", "b"), "2");
  Restart();
  EXPECT_EQ(Versions(FirstEntryRequest()), (VersionMap{{"b", "v1"}}));
}

TEST_F(ForeignTest, Client22_ATimeToLiveOutlivesTheProcessAndCanBeCancelled) {
  LoadForeign();
  const std::string payload = ResponseBuilder::Payload("9");
  Respond(Entries("n1").Ttl(NameOf("a"), "v2", 10, payload).Ttl(NameOf("b"), "v2", 10, payload));
  Restart();
  Respond(Entries("n2").Resource(NameOf("b"), "v2", payload));
  After(seconds(11));
  EXPECT_EQ(Scan("prices"), "b");
}

TEST_F(ForeignTest, Client23_AHeartbeatOfAnotherVersionIsRejected) {
  LoadForeign();
  Respond(Entries("n").Ttl(NameOf("a"), "v7", 10));
  EXPECT_EQ(EntryAnswer(), "NACK n");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ForeignTest, Client24_RefusedVersionsAreNotOfferedAgainAndWhatIsGoneIsSwept) {
  LoadForeign();
  Lose();
  Connect();
  EXPECT_EQ(Versions(FirstEntryRequest()).size(), 2u);
  Lose(StatusCode::kResourceExhausted);
  Connect();
  EXPECT_TRUE(Versions(FirstEntryRequest()).empty());
  Respond(Entries("n1").Foreign("prices", "b", "v1", "2"));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Scan("prices"), "a b") << "the old copy serves";
  Respond(Entries("n2").Foreign("prices", "c", "v1", "3"));
  Quiet();
  EXPECT_EQ(Scan("prices"), "b c");
  Lose();
  Connect();
  EXPECT_TRUE(Versions(FirstEntryRequest()).empty()) << "it would be refused again";
}

TEST_F(ForeignTest, Client24_AnEndForAnotherReasonRefusesNothing) {
  LoadForeign();
  for (int i = 0; i < 3; ++i) {
    Lose();
    Connect();
    EXPECT_EQ(Versions(FirstEntryRequest()).size(), 2u);
  }
}

TEST_F(ForeignTest, Client24_TheNameOfTheCollectionRemovedWithItsMembersKeepsThem) {
  LoadForeign();
  Respond(Entries("n")
              .Remove(kGlob)
              .Foreign("prices", "a", "v1", "1")
              .Foreign("prices", "b", "v2", "5"));
  EXPECT_EQ(EntryAnswer(), "ACK n");
  EXPECT_EQ(Scan("prices"), "a b");
  Quiet();
  EXPECT_EQ(Scan("prices"), "a b");
  EXPECT_EQ(Get("prices", "b"), "5");
}

TEST_F(ForeignTest, Client24_TheNameOfTheCollectionRemovedThenSilenceMeansEmpty) {
  LoadForeign();
  Respond(Entries("n").Remove(kGlob));
  EXPECT_EQ(Scan("prices"), "a b") << "not by itself";
  Quiet();
  EXPECT_EQ(Scan("prices"), "");
}

TEST_F(ForeignTest, ACopyOfOurOwnIsHandedToAStrangerByItsVersions) {
  LoadPrices();
  Lose();
  Connect("go-control-plane");
  const DeltaRequest request = FirstEntryRequest();
  EXPECT_EQ(Versions(request), (VersionMap{{"a", "abcdef012345.3"}, {"b", "abcdef012345.5"}}));
  Respond(Entries("n1")
              .From("go-control-plane")
              .Foreign("prices", "a", "sha:1", "7")
              .Remove(NameOf("b")));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Get("prices", "a"), "7");
  EXPECT_EQ(Scan("prices"), "a");
  // And back: a stranger's versions say nothing to our own server.
  Lose();
  Connect("tributary");
  EXPECT_EQ(Versions(FirstEntryRequest()).count("*"), 0u);
  Respond(Entries("n2").From("tributary").Begin(kPrices, At(9)));
  Respond(
      Entries("n3").From("tributary").Entry("prices", "z", At(9), "9").Complete(kPrices, At(9)));
  EXPECT_EQ(Scan("prices"), "z");
}

TEST_F(ForeignTest, WhoSendsMarkersIsRememberedByName) {
  LoadPrices();
  Restart();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5") << "known from before";
  Lose();
  Connect("somebody else");
  EXPECT_EQ(Versions(FirstEntryRequest()).count("*"), 0u) << "strangers get no cursors";
  Lose();
  Connect();
  EXPECT_EQ(Versions(FirstEntryRequest()).count("*"), 0u) << "forgotten on change";
  Lose();
  Connect("tributary/7");
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5") << "one of ours";
}

TEST_F(ForeignTest, TooManyVersionsForAMessageAreNotOffered) {
  Connect();
  const std::string version(200, 'v');
  ResponseBuilder load = Entries("load");
  for (int i = 0; i < 20'000; ++i) load.Foreign("prices", fmt::format("k{:06}", i), version, "x");
  Respond(load);
  Quiet();
  ASSERT_EQ(Get("prices", "k000000"), "x");
  Lose();
  Connect();
  EXPECT_TRUE(FirstEntryRequest().initial_versions.empty());
  Respond(Entries("n").Foreign("prices", "k1", "v2", "y"));
  EXPECT_EQ(Get("prices", "k000000"), "x");
  Quiet();
  EXPECT_EQ(Scan("prices"), "k1");
}

// --- rejected entries ---------------------------------------------------------------------------

TEST_F(ForeignTest, WhatACursorHasMovedPastIsAskedForByName) {
  LoadPrices();
  Respond(Entries("n1").Resource(NameOf("a"), "abcdef012345.6", "\xff").Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_THAT(Status().note, testing::HasSubstr("1 entries were rejected"));
  Restart();
  DeltaRequest request = FirstEntryRequest();
  EXPECT_EQ(InitialVersion(request), "c1.abcdef012345.6");
  EXPECT_EQ(request.subscribe, (Strings{kGlob, NameOf("a")}));
  Respond(Entries("m1").Entry("prices", "a", At(6), "good"));
  Respond(Entries("m2").Complete(kPrices, At(7)));
  EXPECT_EQ(Get("prices", "a"), "good");
  EXPECT_EQ(EntryAnswer(), "ACK m1");
  EXPECT_EQ(EntryAnswer(), "ACK m2");
  EXPECT_EQ(Status().note, "");
  const auto left = server_.Take(common::kEntryType);
  ASSERT_TRUE(left.has_value());
  EXPECT_EQ(left->unsubscribe, Strings{NameOf("a")});
  Restart();
  EXPECT_EQ(FirstEntryRequest().subscribe, Strings{kGlob});
}

TEST_F(ForeignTest, AReloadKeepsTheLastGoodValueOfWhatItRejects) {
  LoadPrices();
  Begin(kPrices, At(9));
  Respond(Entries("n1")
              .Resource(NameOf("a"), "abcdef012345.9", "\xff")
              .Entry("prices", "c", At(9), "3")
              .Complete(kPrices, At(9)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_EQ(Scan("prices"), "a c");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ForeignTest, ADigestIsNotComparedWhileEntriesAreRejected) {
  LoadPrices();
  Respond(Entries("n1").Resource(NameOf("c"), "abcdef012345.6", "\xff").Complete(kPrices, At(6)));
  Respond(ResponseBuilder(common::kDatasetStateType, "s").State("prices", At(6), {1, 2}));
  EXPECT_EQ(server_.TakeAnswer(common::kDatasetStateType), "ACK s") << "or it reloads for ever";
  EXPECT_FALSE(Status().digest_mismatch);
}

TEST(RememberedTest, SurvivesItsEncoding) {
  RejectedKeys keys;
  EXPECT_TRUE(keys.Add({"a", ""}, std::string("k\0k", 3)));
  EXPECT_TRUE(keys.Add({"a", "p"}, "p1"));
  EXPECT_FALSE(keys.Add({"a", "p"}, "p1"));
  const auto again = RejectedKeys::Decode(keys.Encode());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->all(), keys.all());
  EXPECT_FALSE(RejectedKeys::Decode("\xff").has_value());
  for (std::size_t i = 0; i < kRejectedKeysMax; ++i) keys.Add({"b", ""}, std::to_string(i));
  EXPECT_FALSE(keys.Add({"c", ""}, "one too many"));
  EXPECT_EQ(*DecodeKnownServer(EncodeKnownServer({"x y", true})), (KnownServer{"x y", true}));
  EXPECT_FALSE(DecodeKnownServer("").has_value());
}

}  // namespace
}  // namespace agent
