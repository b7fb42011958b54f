// Delta xDS as a foreign client sees it: subscribing, unsubscribing, wildcards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/fanout/server_scenario.h"

namespace cp {
namespace {

TEST_F(ServerScenario, Server01_SubscribedNameIsSentWithNonceAndType) {
  const StreamId stream = Connect({a});
  const Got got = ReceiveOne(stream);
  EXPECT_EQ(got.type, common::kEntryType);
  EXPECT_EQ(got.resources, (std::map<std::string, std::string>{{a, V("A")}}));
}

TEST_F(ServerScenario, Server02_AnAckIsNotAnswered) {
  const StreamId stream = Connect({a});
  Expect(stream, {a});
  EXPECT_TRUE(Quiet(stream));
  EXPECT_EQ(hub.counters().acks, 1u);
}

TEST_F(ServerScenario, Server03_MissingNameIsRemoved) { Expect(Connect({a, z}), {a}, {z}); }

TEST_F(ServerScenario, Server04_MissingNameIsSentOnceItExists) {
  const StreamId stream = Connect({a, z});
  See(stream);
  Put("d", "Z", "v1");
  Expect(stream, {z});
}

TEST_F(ServerScenario, Server05_SubscribingAgainIsAnsweredAgain) {
  const StreamId stream = Connect({a});
  See(stream);
  Request(stream, Sub(common::kEntryType, {a}));
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server06_SubscribingBeforeTheAck) {
  const StreamId stream = Connect({a});
  Request(stream, Sub(common::kEntryType, {b}));
  Expect(stream, {a, b});
}

TEST_F(ServerScenario, Server07_UnsubscribedNameIsQuiet) {
  const StreamId stream = Connect({a});
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {a}));
  Put("d", "A", "v2");
  EXPECT_TRUE(Quiet(stream));
}

TEST_F(ServerScenario, Server08_UnsubscribingAnUnknownNameDoesNothing) {
  const StreamId stream = Connect({a});
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {Entry("Q")}));
  EXPECT_TRUE(Quiet(stream));
  Put("d", "A", "v2");
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server09_UnsubscribeAndSubscribeSendsItUnchanged) {
  const StreamId stream = Connect({a});
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {a}));
  Request(stream, Sub(common::kEntryType, {a}));
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server10_OnlyWhatChangedIsSent) {
  const StreamId stream = Connect({a, b, c});
  See(stream);
  Put("d", "A", "v2");
  EXPECT_EQ(ReceiveOne(stream).resources, (std::map<std::string, std::string>{{a, V("A")}}));
}

TEST_F(ServerScenario, Server11_DeletedNameStaysSubscribed) {
  const StreamId stream = Connect({a});
  See(stream);
  Delete("d", "A");
  Expect(stream, {}, {a});
  Put("d", "A", "again");
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server12_EmptyFirstRequestIsTheWildcard) { Expect(Connect({}), {a, b, c}); }

TEST_F(ServerScenario, Server13_ExplicitWildcard) { Expect(Connect({"*"}), {a, b, c}); }

TEST_F(ServerScenario, Server14_AckOfTheLegacyWildcardIsQuiet) {
  const StreamId stream = Connect({});
  See(stream);
  EXPECT_TRUE(Quiet(stream));
  Put("d", "B", "v2");
  Expect(stream, {b});
}

TEST_F(ServerScenario, Server15_NamingOneKeepsTheWildcard) {
  const StreamId stream = Connect({});
  See(stream);
  Request(stream, Sub(common::kEntryType, {a}));
  Expect(stream, {a});
  Put("d", "B", "v2");
  Expect(stream, {b});
}

TEST_F(ServerScenario, Server16_DroppingTheWildcardKeepsTheName) {
  const StreamId stream = Connect({});
  See(stream);
  Request(stream, Sub(common::kEntryType, {a}));
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {"*"}));
  Put("d", "B", "v3");
  EXPECT_TRUE(Quiet(stream));
  Put("d", "A", "v2");
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server17_NothingLeftIsNotTheWildcard) {
  const StreamId stream = Connect({});
  See(stream);
  Request(stream, Sub(common::kEntryType, {a}, {"*"}));
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {a}));
  Request(stream, Sub(common::kEntryType, {}));
  EXPECT_TRUE(Quiet(stream));
  Put("d", "B", "v4");
  EXPECT_TRUE(Quiet(stream));
}

TEST_F(ServerScenario, Server18_UnsubscribingUnderTheWildcardSendsTheResource) {
  const StreamId stream = Connect({"*", a});
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {a}));
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server19_UnsubscribingWhatTheWildcardLacksRemovesIt) {
  const StreamId stream = Connect({"*", z});
  See(stream);
  Request(stream, Sub(common::kEntryType, {}, {z}));
  Expect(stream, {}, {z});
}

TEST_F(ServerScenario, Server20_WildcardFollowsCreationAndDeletion) {
  const StreamId stream = Connect({"*"});
  See(stream);
  Put("d", "D", "v1");
  Expect(stream, {Entry("D")});
  Delete("d", "D");
  Expect(stream, {}, {Entry("D")});
  Declare("e");  // a dataset is born
  Put("e", "x", "v1");
  Expect(stream, {Entry("x", "e")});
  Withdraw("e");
  Expect(stream, {}, {Entry("x", "e")});
}

TEST_F(ServerScenario, Server21_WildcardTakenBackInTheSameRequest) {
  const StreamId stream = Open();
  common::DeltaRequest first = First(common::kEntryType, {"*"});
  first.unsubscribe = {"*"};
  Request(stream, first);
  EXPECT_TRUE(Quiet(stream));
  Request(stream, Sub(common::kEntryType, {a}));
  Expect(stream, {a});
  Put("d", "C", "v2");
  EXPECT_TRUE(Quiet(stream));
}

TEST(ServerScenarioEmpty, Server22_EmptyWorldIsOneEmptyResponse) {
  HubHarness world;
  const StreamId stream = world.Open();
  world.Request(stream, First(common::kEntryType, {"*"}));
  const Got got = world.ReceiveOne(stream);
  EXPECT_TRUE(got.empty());
  EXPECT_TRUE(world.Quiet(stream));
}

}  // namespace
}  // namespace cp
