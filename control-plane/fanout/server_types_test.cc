// Foreign clients and access, the types beside Entry, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/fanout/server_scenario.h"

namespace cp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(ServerScenario, EntriesOfAnUngrantedDatasetAreRefusedByName) {
  Declare("private", {"someone"});
  Put("private", "k", "v");
  const std::string name = Entry("k", "private");
  const StreamId stream = Connect({name, "nonsense", "xdstp://other/tributary.v1.Entry/d/A"});
  std::map<std::string, int> codes;
  for (const Got& got : ReceiveAll(stream)) {
    for (const Got::Error& error : got.errors) codes[error.name] = error.code;
    EXPECT_THAT(got.resources, IsEmpty());
    EXPECT_EQ(got.removed.size(), 3u);
  }
  EXPECT_EQ(codes, (std::map<std::string, int>{
                       {name, 7}, {"nonsense", 3}, {"xdstp://other/tributary.v1.Entry/d/A", 3}}));
  Declare("private", {"*"});
  Expect(stream, {name});
  Declare("private", {});
  Expect(stream, {}, {name});
}

TEST_F(ServerScenario, WildcardLeavesOutWhatMayNotBeSeenAndUncoveredVersionsAreRemoved) {
  Declare("private", {"someone"});
  Put("private", "k", "v");
  const std::string hidden = Entry("k", "private");
  Expect(Connect({"*"}, {{hidden, "v1"}}), {a, b, c}, {hidden});
}

TEST_F(ServerScenario, WithdrawnDatasetRemovesTheMembersOfAGlob) {
  const StreamId stream = Connect({Glob()});
  See(stream);
  Withdraw("d");
  const std::vector<Got> all = ReceiveAll(stream);
  EXPECT_THAT(RemovedNames(all), UnorderedElementsAre(a, b, c, Glob()));
  Declare("d");  // its data is still there
  Expect(stream, {a, b, c});
}

TEST_F(ServerScenario, DatasetStateIsPushedToForeignClientsOncePerCommit) {
  const std::string state = common::DatasetStateName("d");
  const StreamId named = Open();
  Request(named, First(common::kDatasetStateType, {state, common::DatasetStateName("no")}));
  const Got first = ReceiveOne(named);
  EXPECT_EQ(first.resources.size(), 1u);
  EXPECT_THAT(first.removed, ElementsAre(common::DatasetStateName("no")));
  ASSERT_EQ(first.errors.size(), 1u);
  EXPECT_EQ(first.errors[0].code, 5);
  const StreamId all = Open();
  Request(all, First(common::kDatasetStateType, {"*"}));
  EXPECT_EQ(ReceiveOne(all).resources.size(), 1u);
  Put("d", "A", "v2");
  for (const StreamId stream : {named, all}) {
    EXPECT_EQ(ReceiveOne(stream).resources.at(state),
              common::FormatVersion({store.epoch(), Head("d")}));
  }
  Declare("no");
  for (const StreamId stream : {named, all}) {
    EXPECT_TRUE(ReceiveOne(stream).resources.contains(common::DatasetStateName("no")));
  }
  Withdraw("no");
  for (const StreamId stream : {named, all}) {
    EXPECT_THAT(ReceiveOne(stream).removed, ElementsAre(common::DatasetStateName("no")));
  }
}

TEST_F(ServerScenario, SubscriptionsAreOnesOwnByGlobNameOrWildcard) {
  DeclareSubscription("s1", "reader", "d");
  DeclareSubscription("other", "someone", "d");
  const std::string s1 = common::SubscriptionName("reader", "s1");
  const std::string s2 = common::SubscriptionName("reader", "s2");
  for (const std::string& name : {common::SubscriptionName("reader", "*"), std::string("*")}) {
    SCOPED_TRACE(name);
    const StreamId stream = Open();
    Request(stream, First(common::kSubscriptionType, {name}));
    const Got got = ReceiveOne(stream);
    EXPECT_THAT(ResourceNames({got}), UnorderedElementsAre(s1));
    DeclareSubscription("s2", "reader", "d", "eu-");
    EXPECT_THAT(ResourceNames({ReceiveOne(stream)}), UnorderedElementsAre(s2));
    DeclareSubscription("s2", "reader", "d", "us-");
    EXPECT_THAT(ResourceNames({ReceiveOne(stream)}), UnorderedElementsAre(s2));
    DeclareSubscription("other2", "someone", "d");
    EXPECT_TRUE(Quiet(stream));
    WithdrawSubscription("s2");
    EXPECT_THAT(ReceiveOne(stream).removed, ElementsAre(s2));
    // A new stream that knows what it has is sent nothing.
    const StreamId again = Open();
    Request(again,
            First(common::kSubscriptionType, {name}, {{s1, got.resources.at(s1)}, {s2, "gone"}}));
    const Got resumed = ReceiveOne(again);
    EXPECT_THAT(resumed.resources, IsEmpty());
    EXPECT_THAT(resumed.removed, ElementsAre(s2));
  }
  const StreamId nosy = Open();
  Request(nosy, First(common::kSubscriptionType, {common::SubscriptionName("someone", "*")}));
  EXPECT_EQ(ReceiveOne(nosy).errors.at(0).code, 7);
}

TEST(ServerScenarioEmpty, NoSubscriptionsRemoveTheGlob) {
  HubHarness world;
  const std::string glob = common::SubscriptionName("reader", "*");
  const StreamId stream = world.Open();
  world.Request(stream, First(common::kSubscriptionType, {glob}));
  EXPECT_THAT(world.ReceiveOne(stream).removed, ElementsAre(glob));
  world.DeclareSubscription("s", "reader", "d");
  EXPECT_THAT(ResourceNames({world.ReceiveOne(stream)}),
              UnorderedElementsAre(common::SubscriptionName("reader", "s")));
}

TEST_F(ServerScenario, IdentityMustBeTheNodeId) {
  const StreamId liar = Open("someone");
  Request(liar, First(common::kEntryType, {a}));
  EXPECT_EQ(closed(liar)->code(), common::StatusCode::kPermissionDenied);
  const StreamId honest = Open("reader");
  Request(honest, First(common::kEntryType, {a}));
  Expect(honest, {a});
}

TEST_F(ServerScenario, LimitsEndTheOffendingStreamOnly) {
  const StreamId good = Connect({a});
  See(good);
  const StreamId greedy = Open();
  common::DeltaRequest first = First(common::kEntryType, {});
  for (std::size_t i = 0; i <= common::kExplicitNamesPerStreamMax; ++i) {
    first.subscribe.push_back(Entry(fmt::format("n{}", i)));
  }
  Request(greedy, first);
  EXPECT_EQ(closed(greedy)->code(), common::StatusCode::kResourceExhausted);
  Disconnect(greedy);
  const StreamId collector = Open();
  Request(collector, First("t", {"x"}));
  for (std::size_t i = 0; i < common::kTypesPerStreamMax; ++i) {
    if (closed(collector)) break;
    Request(collector, Sub(fmt::format("t{}", i), {"x"}));
  }
  EXPECT_EQ(closed(collector)->code(), common::StatusCode::kInvalidArgument);
  Put("d", "A", "v2");
  Expect(good, {a});
}

TEST(ServerScenarioEmpty, StreamsBeyondTheLimitAreSentElsewhere) {
  HubHarness world({.streams_max = 1});
  const StreamId first = world.Open();
  const StreamId second = world.Open();
  EXPECT_FALSE(world.closed(first));
  EXPECT_EQ(world.closed(second)->code(), common::StatusCode::kUnavailable);
}

TEST_F(ServerScenario, UnansweredResponsesBoundWhatIsSent) {
  std::vector<Write> writes;
  for (int i = 0; i < 60; ++i) {
    writes.push_back({.dataset = "d",
                      .key = fmt::format("big{:02}", i),
                      .value = std::string(common::kMiB, 'x')});
  }
  for (std::size_t at = 0; at < writes.size(); at += 10) {
    Commit({writes.begin() + static_cast<std::ptrdiff_t>(at),
            writes.begin() + static_cast<std::ptrdiff_t>(at) + 10});
  }
  const StreamId stream = Connect({"*"});
  std::vector<Got> unanswered = ReceiveAll(stream, /*ack=*/false);
  EXPECT_GE(hub.unacked_bytes(), common::kUnackedBytesMax);
  EXPECT_LE(hub.unacked_bytes(), common::kUnackedBytesMax + common::kResponseBytesMax + 64 * 1024);
  // A name that is asked for is answered all the same.
  Request(stream, Sub(common::kDatasetStateType, {common::DatasetStateName("d")}));
  EXPECT_EQ(ReceiveOne(stream).type, common::kDatasetStateType);
  // The rest comes as answers come.
  std::set<std::string> names = ResourceNames(unanswered);
  for (const Got& got : unanswered) Ack(stream, got);
  for (const std::string& name : ResourceNames(ReceiveAll(stream))) names.insert(name);
  EXPECT_EQ(names.size(), 63u);
  EXPECT_EQ(hub.unacked_bytes(), 0u);
}

TEST_F(ServerScenario, ForgottenTypeFreesItsWindow) {
  const StreamId stream = Connect({"*"});
  ReceiveAll(stream, /*ack=*/false);
  EXPECT_GT(hub.unacked_bytes(), 0u);
  Request(stream, Sub(common::kEntryType, {}, {"*"}));
  EXPECT_EQ(hub.unacked_bytes(), 0u);
}

}  // namespace
}  // namespace cp
