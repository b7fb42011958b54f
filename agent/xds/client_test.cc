// The client's 25 scenarios of the delta protocol, each against a scripted server. What concerns
// the stream and the process is also done with the real agent: tests/conformance/test_agent.py.
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

class ClientTest : public SyncFixture {};

TEST_F(ClientTest, Client01_FirstRequestNamesAllAndNothingElse) {
  OpenStream();
  ASSERT_EQ(server_.requests.size(), 3u) << "nothing to resume: nothing to wait for";
  const DeltaRequest first = server_.requests[0];
  ASSERT_TRUE(first.node.has_value());
  EXPECT_EQ(first.node->id, "web");
  EXPECT_EQ(first.node->instance, "host-1");
  EXPECT_EQ(first.node->features,
            (Strings{"tributary.cursor.v1", "tributary.buckets.v1", "tributary.packed.v1",
                     "xds.config.supports-resource-ttl"}));
  EXPECT_EQ(first.subscribe, Strings{"xdstp:///tributary.v1.Subscription/web/*"});
  EXPECT_EQ(server_.requests[1].subscribe, Strings{"xdstp:///tributary.v1.DatasetState/prices"});
  const DeltaRequest entries = server_.requests[2];
  EXPECT_FALSE(entries.node.has_value());
  EXPECT_EQ(entries.type_url, common::kEntryType);
  EXPECT_EQ(entries.subscribe, Strings{kGlob});
  EXPECT_TRUE(entries.nonce.empty() && entries.initial_versions.empty() &&
              entries.unsubscribe.empty());
}

TEST_F(ClientTest, Client02_AcknowledgesWithEmptyLists) {
  LoadPrices();
  Respond(Entries("n1").Entry("prices", "a", At(6), "3").Complete(kPrices, At(6)));
  const auto ack = server_.Take(common::kEntryType);
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->nonce, "n1");
  EXPECT_TRUE(!ack->error && ack->subscribe.empty() && ack->unsubscribe.empty());
  EXPECT_EQ(Get("prices", "a"), "3");
}

TEST_F(ClientTest, Client03_AcknowledgesInOrder) {
  LoadPrices();
  Respond(Entries("n1").Entry("prices", "a", At(6), "3").Complete(kPrices, At(6)));
  Respond(Entries("n2").Entry("prices", "a", At(7), "4").Complete(kPrices, At(7)));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(EntryAnswer(), "ACK n2");
  EXPECT_EQ(EntryAnswer(), "");
}

TEST_F(ClientTest, Client04_RejectsABadPayloadAndKeepsTheOldValue) {
  LoadPrices();
  Respond(Entries("n1")
              .Resource(common::EntryName("prices", "a"), "abcdef012345.6", "\xff\xff")
              .Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_THAT(server_.last_error, testing::HasSubstr("prices/a"));
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ClientTest, Client05_TakesTheGoodHalfOfAResponse) {
  LoadPrices();
  Respond(Entries("n1")
              .Entry("prices", "a", At(6), "3")
              .Resource(common::EntryName("prices", "b"), "nonsense", "")
              .Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_EQ(Get("prices", "a"), "3");
  EXPECT_EQ(Get("prices", "b"), "2");
}

TEST_F(ClientTest, Client06_RejectsANameTwice) {
  LoadPrices();
  Respond(Entries("n1")
              .Entry("prices", "a", At(6), "3")
              .Entry("prices", "a", At(7), "4")
              .Complete(kPrices, At(7)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ClientTest, Client07_RejectsANameSentAndRemoved) {
  LoadPrices();
  Respond(Entries("n1")
              .Entry("prices", "a", At(6), "3")
              .Remove(common::EntryName("prices", "a"))
              .Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ClientTest, Client08_RejectsAnotherTypeInside) {
  LoadPrices();
  Respond(Entries("n1")
              .Resource(common::EntryName("prices", "a"), "abcdef012345.6", "",
                        "type.googleapis.com/x.Y")
              .Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ClientTest, Client09_RemovalThenReturn) {
  LoadPrices();
  Respond(Entries("n1").Remove(common::EntryName("prices", "a")).Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Get("prices", "a"), "<none>");
  Respond(Entries("n2").Entry("prices", "a", At(7), "9").Complete(kPrices, At(7)));
  EXPECT_EQ(Get("prices", "a"), "9");
}

TEST_F(ClientTest, Client10_RemovalOfAnUnknownNameIsNothing) {
  LoadPrices();
  Respond(Entries("n1")
              .Remove(common::EntryName("prices", "zzz"))
              .Remove(common::EntryName("other", "a"))
              .Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Scan("prices"), "a b");
}

TEST_F(ClientTest, Client11_UnrequestedEntriesAreIgnored) {
  LoadPrices();
  Respond(Entries("n1").Entry("other", "q", At(6), "x").Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Get("other", "q"), "<not subscribed>");
}

TEST_F(ClientTest, Client12_AnEmptyResponseOfAForeignServerMeansSynced) {
  Connect();
  Respond(Entries("n1"));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Get("prices", "a"), "<none>");
  EXPECT_EQ(Status().phase, CopyPhase::kSynced);
}

TEST_F(ClientTest, Client13_AResponseOfAnUnknownTypeDisturbsNothing) {
  LoadPrices();
  Respond(ResponseBuilder("type.googleapis.com/x.Y", "n1").Resource("x", "1", ""));
  EXPECT_EQ(server_.TakeAnswer("type.googleapis.com/x.Y"), "ACK n1");
  Respond(Entries("n2").Entry("prices", "a", At(6), "3").Complete(kPrices, At(6)));
  EXPECT_EQ(EntryAnswer(), "ACK n2");
}

TEST_F(ClientTest, Client14_ReconnectsWithAllNamesTheCursorAndNoNonce) {
  LoadPrices();
  Lose();
  Connect();
  ASSERT_EQ(server_.requests.size(), 3u);
  EXPECT_TRUE(server_.requests[0].node.has_value());
  const DeltaRequest entries = FirstEntryRequest();
  EXPECT_EQ(entries.subscribe, Strings{kGlob});
  EXPECT_EQ(InitialVersion(entries), "c1.abcdef012345.5");
  EXPECT_TRUE(entries.nonce.empty());
}

TEST_F(ClientTest, Client14_ACursorWaitsUntilTheServerHasSaidWhoItIs) {
  LoadPrices();
  Lose();
  OpenStream();
  EXPECT_FALSE(server_.Take(common::kEntryType)) << "never guessed";
  Respond(ResponseBuilder(common::kDatasetStateType, "s"));
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5");
  Lose();
  OpenStream();
  After(common::kAnswerTimeout);
  EXPECT_EQ(Versions(FirstEntryRequest()),
            (std::map<std::string, std::string>{{"a", "abcdef012345.3"}, {"b", "abcdef012345.5"}}))
      << "nobody speaks: what the protocol itself knows";
}

TEST_F(ClientTest, Client15_AnAckDueOnALostStreamIsNotSentOnTheNext) {
  LoadPrices();
  Respond(Entries("n1").Entry("prices", "a", At(6), "3"));  // half a cut: no ACK yet
  EXPECT_EQ(EntryAnswer(), "");
  Lose();
  Connect();
  EXPECT_EQ(EntryAnswer(), "");
  Respond(Entries("m1").Entry("prices", "a", At(7), "4").Complete(kPrices, At(7)));
  EXPECT_EQ(EntryAnswer(), "ACK m1");
  EXPECT_EQ(EntryAnswer(), "");
  EXPECT_EQ(Get("prices", "a"), "4");
}

TEST_F(ClientTest, Client16_AKillBeforeTheMarkerKeepsTheOldCut) {
  LoadPrices();
  Respond(Entries("n1").Entry("prices", "a", At(6), "3"));
  Restart();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "c1.abcdef012345.5");
  EXPECT_EQ(Get("prices", "a"), "1");
}

TEST_F(ClientTest, Client17_ANameAddedLaterIsSubscribedAlone) {
  LoadPrices();
  server_.requests.clear();
  Respond(ResponseBuilder(common::kSubscriptionType, "s1").Subscribe("web", "o", {"orders", ""}));
  EXPECT_EQ(server_.TakeAnswer(common::kSubscriptionType), "ACK s1");
  const DeltaRequest request = FirstEntryRequest();
  EXPECT_EQ(request.subscribe, Strings{"xdstp:///tributary.v1.Entry/orders/*"});
  EXPECT_TRUE(request.unsubscribe.empty() && request.nonce.empty() &&
              request.initial_versions.empty());
}

TEST_F(ClientTest, Client18_ANameTakenAwayIsUnsubscribedAndStaysAway) {
  LoadPrices();
  Respond(ResponseBuilder(common::kSubscriptionType, "s1").Subscribe("web", "o", {"orders", ""}));
  server_.requests.clear();
  Respond(ResponseBuilder(common::kSubscriptionType, "s2")
              .Remove(common::SubscriptionName("web", "o")));
  const DeltaRequest request = FirstEntryRequest();
  EXPECT_EQ(request.unsubscribe, Strings{"xdstp:///tributary.v1.Entry/orders/*"});
  EXPECT_TRUE(request.subscribe.empty());
  Begin({"orders", ""}, At(1));
  Respond(Entries("late").Entry("orders", "x", At(1), "1").Complete({"orders", ""}, At(1)));
  EXPECT_EQ(EntryAnswer(), "ACK late");
  EXPECT_EQ(Get("orders", "x"), "<not subscribed>");
}

TEST_F(ClientTest, Client19_TakenAwayAndAddedBeforeARequestLeaves) {
  DeltaSubscription names("t");
  names.Want("a");
  EXPECT_EQ(names.Next(clock_.now)->subscribe, Strings{"a"});
  names.Drop("a");
  names.Want("a");
  const auto request = names.Next(clock_.now);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->subscribe, Strings{"a"});
  EXPECT_TRUE(request->unsubscribe.empty());
  names.Want("b");
  names.Drop("b");
  EXPECT_FALSE(names.Next(clock_.now).has_value()) << "nobody was told of it";
}

TEST_F(ClientTest, Client20_AnUnansweredNameIsReportedAndStillAccepted) {
  Connect();
  After(seconds(14));
  EXPECT_EQ(Status().note, "");
  After(seconds(2));
  EXPECT_THAT(Status().note, testing::HasSubstr("not answered for 15 s"));
  Begin(kPrices, At(1));
  Respond(Entries("n1").Complete(kPrices, At(1)));
  EXPECT_EQ(Status().note, "");
  EXPECT_EQ(Status().phase, CopyPhase::kSynced);
}

TEST_F(ClientTest, Client20_AServerThatReportsErrorsHasTwiceTheTime) {
  Connect();
  Respond(Entries("n").Error("xdstp:///tributary.v1.Entry/other/*", StatusCode::kNotFound));
  After(seconds(16));
  EXPECT_EQ(Status().note, "");
  After(seconds(15));
  EXPECT_THAT(Status().note, testing::HasSubstr("not answered for 30 s"));
}

TEST_F(ClientTest, Client21_WithoutAServerReadsGoOn) {
  LoadPrices();
  Lose();
  After(seconds(3600));
  EXPECT_EQ(Get("prices", "a"), "1");
  Restart();
  EXPECT_EQ(Get("prices", "b"), "2");
}

TEST_F(ClientTest, Client23_ResourcesWithoutContent) {
  LoadPrices();
  Respond(Entries("n1")
              .Bare(common::EntryName("prices", "a"), "abcdef012345.9")
              .Complete(kPrices, At(9)));
  EXPECT_EQ(EntryAnswer(), "NACK n1");
  EXPECT_EQ(Get("prices", "a"), "1");
  Respond(Entries("n2").Bare(common::EntryName("prices", "a"), "").Complete(kPrices, At(10)));
  EXPECT_EQ(EntryAnswer(), "ACK n2");
  EXPECT_EQ(Get("prices", "a"), "<none>") << "no version, no content: it does not exist";
}

TEST_F(ClientTest, Client25_ResourceErrors) {
  LoadPrices();
  Respond(Entries("n1").Error(kGlob, StatusCode::kUnavailable));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Get("prices", "a"), "1") << "transient: the copy is kept";
  Respond(Entries("n2").Error(kGlob, StatusCode::kPermissionDenied).Remove(kGlob));
  EXPECT_EQ(EntryAnswer(), "ACK n2");
  EXPECT_EQ(Get("prices", "a"), "<no permission>");
  EXPECT_EQ(Status().phase, CopyPhase::kNoPermission);
  Respond(Entries("n3").Error(kGlob, StatusCode::kNotFound).Remove(kGlob));
  EXPECT_EQ(Get("prices", "a"), "<no dataset>");
  Lose();
  Connect();
  EXPECT_EQ(InitialVersion(FirstEntryRequest()), "");
  Begin(kPrices, At(8));
  Respond(Entries("n4").Entry("prices", "a", At(8), "8").Complete(kPrices, At(8)));
  EXPECT_EQ(Get("prices", "a"), "8") << "granted again";
}

}  // namespace
}  // namespace agent
