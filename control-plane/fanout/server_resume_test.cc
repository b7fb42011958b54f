// Delta xDS as a foreign client sees it: initial versions, NACKs, globs, bulk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/fanout/server_scenario.h"

namespace cp {
namespace {

using ::testing::UnorderedElementsAre;

TEST_F(ServerScenario, Server23_EverythingKnownIsOneEmptyResponse) {
  const StreamId stream = Connect({"*"}, {{a, V("A")}, {b, V("B")}, {c, V("C")}});
  EXPECT_TRUE(ReceiveOne(stream).empty());
  EXPECT_TRUE(Quiet(stream));
}

TEST_F(ServerScenario, Server24_OnlyWhatDiffersFromTheInitialVersions) {
  Expect(Connect({"*"}, {{a, V("A")}, {b, "v0"}}), {b, c});
}

TEST_F(ServerScenario, Server25_WhatIsGoneIsRemoved) {
  const std::string old = Entry("OLD");
  Expect(Connect({"*"}, {{a, V("A")}, {b, V("B")}, {c, V("C")}, {old, "v9"}}), {}, {old});
}

TEST_F(ServerScenario, Server26_InitialVersionsOfExplicitNames) {
  Expect(Connect({a, z}, {{a, V("A")}, {z, "v1"}}), {}, {z});
}

TEST_F(ServerScenario, Server27_InitialVersionsCountInTheFirstRequestOnly) {
  const StreamId stream = Connect({a});
  See(stream);
  common::DeltaRequest later = Sub(common::kEntryType, {b});
  later.initial_versions = {{b, V("B")}};
  Request(stream, later);
  Expect(stream, {b});
  Put("d", "B", "v2");
  Expect(stream, {b});
}

TEST_F(ServerScenario, Server28_TypesHaveTheirOwnInitialVersions) {
  const std::string state = common::DatasetStateName("d");
  const StreamId stream = Connect({a}, {{a, V("A")}});
  common::DeltaRequest other = Sub(common::kDatasetStateType, {state});
  other.initial_versions = {{state, common::FormatVersion({store.epoch(), Head("d")})}};
  Request(stream, other);
  EXPECT_TRUE(Quiet(stream));
  Put("d", "A", "v2");
  Expect(stream, {a, state});
}

TEST_F(ServerScenario, Server29_RejectedVersionIsNotSentAgain) {
  const StreamId stream = Connect({a});
  See(stream);
  Put("d", "A", "v2");
  Nack(stream, *Receive(stream));
  EXPECT_TRUE(Quiet(stream));
  clock.now += std::chrono::seconds(10);
  Put("d", "B", "v2");
  EXPECT_TRUE(Quiet(stream));
  Put("d", "A", "v3");
  EXPECT_EQ(ReceiveOne(stream).resources.at(a), V("A"));
}

TEST_F(ServerScenario, Server30_NackMaySubscribe) {
  const StreamId stream = Connect({a});
  const Got got = *Receive(stream);
  common::DeltaRequest nack = Sub(common::kEntryType, {b});
  nack.nonce = got.nonce;
  nack.error = {.code = 3, .message = "no"};
  Request(stream, nack);
  Expect(stream, {b});
}

TEST_F(ServerScenario, Server31_AckOfAnOlderResponseMaySubscribe) {
  const StreamId stream = Connect({a, b});
  const Got first = *Receive(stream);
  Put("d", "A", "v2");
  Receive(stream);
  common::DeltaRequest ack = Sub(common::kEntryType, {c});
  ack.nonce = first.nonce;
  Request(stream, ack);
  Expect(stream, {c});
}

TEST_F(ServerScenario, Server32_BogusNonceIsIgnored) {
  const StreamId stream = Connect({a});
  See(stream);
  common::DeltaRequest request = Sub(common::kEntryType, {});
  for (const char* nonce : {"bogus", "999999", "-1", "18446744073709551616"}) {
    request.nonce = nonce;
    Request(stream, request);
    request.error = {.code = 3, .message = "no"};
    Request(stream, request);
    request.error.reset();
  }
  EXPECT_TRUE(Quiet(stream));
  EXPECT_FALSE(closed(stream));
  EXPECT_EQ(hub.counters().nacks, 0u);
}

// A client that rejects any response with the bad resource and keeps nothing of it.
TEST_F(ServerScenario, Server33_InnocentsOfARejectedResponseAreNotLost) {
  for (const bool wildcard : {false, true}) {
    SCOPED_TRACE(wildcard ? "wildcard" : "by name");
    Names names;
    std::vector<Write> writes;
    for (int i = 0; i < 100; ++i) {
      names.push_back(Entry(fmt::format("k{}", i)));
      writes.push_back({.dataset = "d", .key = fmt::format("k{}", i), .value = "v"});
    }
    Commit(writes);
    const std::string bad = Entry("k42");
    const std::string bad_version = V("k42");
    const StreamId stream = Connect(wildcard ? Names{"*"} : names);
    std::set<std::string> held;
    std::size_t rejected = 0;
    const auto serve = [&] {
      while (const std::optional<Got> got = ReceiveLater(stream)) {
        const auto it = got->resources.find(bad);
        if (it != got->resources.end() && it->second == bad_version) {
          ASSERT_LE(++rejected, 8u) << "a loop";
          Nack(stream, *got);
          continue;
        }
        for (const auto& [name, version] : got->resources) held.insert(name);
        Ack(stream, *got);
      }
    };
    serve();
    EXPECT_FALSE(held.contains(bad));
    for (const std::string& name : names) EXPECT_TRUE(name == bad || held.contains(name)) << name;
    Put("d", "k42", "fixed");
    serve();
    EXPECT_TRUE(held.contains(bad));
    Disconnect(stream);
  }
}

TEST_F(ServerScenario, Server34_FaultyFirstRequestsAndUnknownTypes) {
  const StreamId anonymous = Open();
  Request(anonymous, Sub(common::kEntryType, {a}));
  EXPECT_EQ(closed(anonymous)->code(), common::StatusCode::kInvalidArgument);
  const StreamId untyped = Open();
  Request(untyped, First("", {a}));
  EXPECT_EQ(closed(untyped)->code(), common::StatusCode::kInvalidArgument);

  const StreamId stream = Open();
  Request(stream, First("type.googleapis.com/some.Other", {"x", "y"}));
  const Got got = ReceiveOne(stream);
  EXPECT_EQ(got.type, "type.googleapis.com/some.Other");
  EXPECT_THAT(got.removed, UnorderedElementsAre("x", "y"));
  Request(stream, Sub(common::kEntryType, {a}));
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server35_GlobCoversOneSegment) {
  const StreamId stream = Connect({Glob()});
  Expect(stream, {a, b, c});
  Put("d", "D", "v1");
  Expect(stream, {Entry("D")});
  Put("d", "x/4", "v1");  // a slash is part of the key, and encoded: one segment
  Expect(stream, {"xdstp:///tributary.v1.Entry/d/x%2F4"});
}

TEST_F(ServerScenario, Server36_EmptyGlobIsRemovedItsMembersAreNot) {
  Declare("e");
  const StreamId stream = Connect({Glob("e")});
  Expect(stream, {}, {Glob("e")});
  Put("e", "1", "v1");
  Expect(stream, {Entry("1", "e")});
}

TEST_F(ServerScenario, Server37_GlobAndNameTogether) {
  const StreamId stream = Connect({Glob(), a});
  See(stream);
  Put("d", "A", "v2");
  Expect(stream, {a});
  Request(stream, Sub(common::kEntryType, {}, {Glob()}));
  EXPECT_TRUE(Quiet(stream));
  Put("d", "B", "v2");
  EXPECT_TRUE(Quiet(stream));
  Put("d", "A", "v3");
  Expect(stream, {a});
}

TEST_F(ServerScenario, Server38_BigWildcardIsCutAndNeverGoesBack) {
  std::vector<Write> writes;
  for (int i = 0; i < 100'000; ++i) {
    writes.push_back({.dataset = "d", .key = fmt::format("{:06}", i), .value = "v1"});
  }
  Commit(std::move(writes));
  const StreamId stream = Connect({"*"});
  std::map<std::string, std::string> held;
  std::size_t responses = 0;
  while (const std::optional<Got> got = Receive(stream)) {
    ++responses;
    for (const auto& [name, version] : got->resources) {
      const auto [it, fresh] = held.emplace(name, version);
      if (fresh) continue;
      // The replay behind a load may repeat what the load has brought already, never less.
      EXPECT_GE(common::ParseVersion(version)->revision,
                common::ParseVersion(it->second)->revision);
      it->second = version;
    }
    if (responses == 3) Put("d", "000001", "v2");  // sent already
    if (responses == 4) Put("d", "099999", "v2");  // yet to come
    Ack(stream, *got);
  }
  EXPECT_GE(responses, 2u);
  EXPECT_EQ(held.size(), 100'003u);
  EXPECT_EQ(held.at(Entry("000001")), V("000001"));
  EXPECT_EQ(held.at(Entry("099999")), V("099999"));
}

TEST_F(ServerScenario, Server39_SlowClientGetsTheLatestOnlyAndHoldsUpNobody) {
  for (const bool wildcard : {false, true}) {
    SCOPED_TRACE(wildcard ? "wildcard" : "by name");
    const StreamId slow = Connect({wildcard ? std::string("*") : a});
    const StreamId quick = Connect({a});
    See(slow);
    See(quick);
    for (int i = 0; i < 10'000; ++i) {
      Put("d", "A", fmt::format("{}", i));
      See(quick);
    }
    const std::vector<Got> all = ReceiveAll(slow);
    EXPECT_LE(all.size(), 2u);
    EXPECT_EQ(all.back().resources.at(a), V("A"));
    Disconnect(slow);
    Disconnect(quick);
  }
}

TEST_F(ServerScenario, Server40_ResumeAfterAnInterruptedLoadIsExact) {
  std::map<std::string, std::string> held;
  const auto apply = [&held](const Got& got) {
    for (const auto& [name, version] : got.resources) held[name] = version;
    for (const std::string& name : got.removed) held.erase(name);
  };
  std::vector<Write> writes;
  for (int i = 0; i < 5'000; ++i) {
    writes.push_back(
        {.dataset = "d", .key = fmt::format("{:06}", i), .value = std::string(1'000, 'x')});
  }
  Commit(std::move(writes));
  const StreamId first = Connect({"*"});
  for (int i = 0; i < 2; ++i) apply(*Receive(first));
  ASSERT_LT(held.size(), 5'000u);
  Disconnect(first);
  Delete("d", "000000");
  Delete("d", "004999");
  Put("d", "000001", "changed");
  Put("d", "new", "v1");
  const StreamId second = Connect({"*"}, {held.begin(), held.end()});
  for (const Got& got : ReceiveAll(second)) apply(got);

  std::map<std::string, std::string> truth;
  const auto view = store.OpenView();
  const auto state = (*view)->Dataset("d");
  ASSERT_TRUE((*view)
                  ->ScanEntries((*state)->id, {}, {},
                                [&](const Stored& stored) {
                                  truth[Entry(std::string(stored.key))] =
                                      common::FormatVersion(stored.version);
                                  return true;
                                })
                  .ok());
  EXPECT_EQ(held, truth);
}

}  // namespace
}  // namespace cp
