// What an agent (client feature tributary.cursor.v1) sees: resume by cursor, markers, probes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/fanout/hub_harness.h"
#include "tributary/v1/resources.pb.h"

namespace cp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr Epoch kEpoch = 0xE0;

std::string Complete(Revision revision) {
  return common::FormatMarker({.kind = common::Marker::Kind::kComplete, .at = {kEpoch, revision}});
}
std::string Begin(Revision revision) {
  return common::FormatMarker({.kind = common::Marker::Kind::kBegin, .at = {kEpoch, revision}});
}
std::string Cursor(Revision revision, std::optional<std::string> last_key = {}) {
  return common::FormatCursor({.epoch = kEpoch, .revision = revision, .last_key = last_key});
}

class AgentTest : public ::testing::Test, public HubHarness {
 protected:
  AgentTest() { Declare("d"); }
  // The markers of `name` among `responses`, in order.
  static std::vector<std::string> Markers(const std::vector<Got>& responses,
                                          const std::string& name = Glob()) {
    std::vector<std::string> markers;
    for (const Got& got : responses) {
      if (const auto it = got.resources.find(name); it != got.resources.end()) {
        EXPECT_EQ(got.payloads.at(name), "");
        markers.push_back(it->second);
      }
    }
    return markers;
  }
};

TEST_F(AgentTest, FullLoadIsFramedByMarkers) {
  Put("d", "a", "1");
  const Revision head = Put("d", "b", "1");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}));
  const std::vector<Got> all = ReceiveAll(agent);
  EXPECT_THAT(Markers(all), ElementsAre(Begin(head), Complete(head)));
  EXPECT_THAT(ResourceNames(all), UnorderedElementsAre(Glob(), Entry("a"), Entry("b")));
  EXPECT_THAT(RemovedNames(all), IsEmpty());
}

// An agent must know as of when a name does not exist; other clients see plain xDS.
TEST_F(AgentTest, AnswersByNameSayAsOfWhen) {
  Put("d", "a", "1");
  Declare("e");
  const Revision elsewhere = Put("e", "x", "1");
  const auto at = [](Revision revision) { return common::FormatVersion({kEpoch, revision}); };
  const StreamId agent = Open(), other = Open();
  Request(agent, AgentFirst(common::kEntryType, {Entry("a"), Entry("z")}));
  Request(other, First(common::kEntryType, {Entry("a"), Entry("z")}));
  const Got first = ReceiveOne(agent);
  EXPECT_EQ(first.removed, std::set<std::string>{Entry("z")});
  EXPECT_EQ(first.system_version, at(elsewhere)) << "of the store, not of the dataset";
  EXPECT_EQ(ReceiveOne(other).system_version, "");
  const Revision gone = Delete("d", "a");
  const Got removal = ReceiveOne(agent);
  EXPECT_EQ(removal.removed, std::set<std::string>{Entry("a")});
  EXPECT_EQ(removal.system_version, at(gone)) << "a DEL knows by it that it has come";
  Request(agent, Sub(common::kEntryType, {Glob()}));
  for (const Got& got : ReceiveAll(agent)) EXPECT_EQ(got.system_version, "") << "markers say it";
}

TEST_F(AgentTest, WhatWasMissedComesPackedToWhoCanUnpack) {
  const Revision before = Put("d", "a", "1");
  std::vector<Write> writes;
  for (int i = 0; i < 1000; ++i) {
    writes.push_back({.dataset = "d", .key = std::to_string(i), .value = std::to_string(i * i)});
  }
  CommitQuietly(std::move(writes));
  std::vector<Got> plain, packed;
  for (const bool can : {false, true}) {
    SCOPED_TRACE(can);
    common::DeltaRequest first =
        AgentFirst(common::kEntryType, {Glob()}, {{Glob(), Cursor(before)}});
    if (can) first.node->features.emplace_back(common::kPackedFeature);
    const StreamId agent = Open();
    Request(agent, first);
    const Got got = ReceiveOne(agent);
    EXPECT_EQ(got.packed, can);
    EXPECT_EQ(got.resources.size(), 1001u);
    EXPECT_THAT(Markers({got}), ElementsAre(Complete(Head("d"))));
    (can ? packed : plain).push_back(got);
    CommitQuietly({{.dataset = "d", .key = "live", .value = std::string(10'000, 'x')}});
    hub.OnCommitted({"d"}, nullptr);
    EXPECT_FALSE(ReceiveOne(agent).packed) << "a live change comes as it is";
    Disconnect(agent);
    CommitQuietly({{.dataset = "d", .key = "live", .value = {}}});
  }
  EXPECT_LT(packed[0].bytes, plain[0].bytes / 3);
}

TEST_F(AgentTest, EmptyCollectionIsCompleteNotRemoved) {
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}));
  const std::vector<Got> all = ReceiveAll(agent);
  EXPECT_THAT(Markers(all), ElementsAre(Begin(Head("d")), Complete(Head("d"))));
  EXPECT_THAT(RemovedNames(all), IsEmpty());
}

TEST_F(AgentTest, LiveChangesEndInAMarker) {
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}));
  ReceiveAll(agent);
  const Revision put = Put("d", "a", "1");
  Got got = ReceiveOne(agent);
  EXPECT_EQ(got.resources,
            (std::map<std::string, std::string>{{Entry("a"), common::FormatVersion({kEpoch, put})},
                                                {Glob(), Complete(put)}}));
  const Revision removed = Delete("d", "a");
  got = ReceiveOne(agent);
  EXPECT_THAT(got.removed, ElementsAre(Entry("a")));
  EXPECT_EQ(got.resources, (std::map<std::string, std::string>{{Glob(), Complete(removed)}}));
}

TEST_F(AgentTest, ResumeSendsOnlyWhatChanged) {
  Put("d", "a", "1");
  const Revision from = Put("d", "b", "1");
  Delete("d", "a");
  const Revision head = Put("d", "c", "1");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}, {{Glob(), Cursor(from)}}));
  const Got got = ReceiveOne(agent);
  EXPECT_THAT(got.removed, ElementsAre(Entry("a")));
  EXPECT_EQ(got.resources.size(), 2u);
  EXPECT_TRUE(got.resources.contains(Entry("c")));
  EXPECT_EQ(got.resources.at(Glob()), Complete(head));
}

TEST_F(AgentTest, ResumeAtHeadIsAnsweredByAMarker) {
  const Revision head = Put("d", "a", "1");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}, {{Glob(), Cursor(head)}}));
  EXPECT_EQ(ReceiveOne(agent).resources,
            (std::map<std::string, std::string>{{Glob(), Complete(head)}}));
}

TEST_F(AgentTest, UnusableCursorsMeanAFullLoad) {
  Put("d", "a", "1");
  Put("d", "gone", "1");
  const Revision before = Head("d");
  Delete("d", "gone");
  const Revision head = Put("d", "b", "1");
  clock.unix_ms += 1000;
  ASSERT_TRUE(store.Compact(clock.unix_ms, 1'000'000, 1'000'000).ok());
  struct Case {
    const char* what;
    std::string cursor;
  };
  for (const Case& c : {
           Case{"other epoch", common::FormatCursor({.epoch = 7, .revision = head})},
           Case{"below the floor", Cursor(before)},
           Case{"ahead of the head", Cursor(head + 1)},
           Case{"a partial load below the floor", Cursor(before, "a")},
           Case{"not a cursor", "c1.nonsense"},
           Case{"a plain version", common::FormatVersion({kEpoch, head})},
       }) {
    SCOPED_TRACE(c.what);
    const StreamId agent = Open();
    Request(agent, AgentFirst(common::kEntryType, {Glob()}, {{Glob(), c.cursor}}));
    const std::vector<Got> all = ReceiveAll(agent);
    EXPECT_THAT(Markers(all), ElementsAre(Begin(head), Complete(head)));
    EXPECT_THAT(ResourceNames(all), UnorderedElementsAre(Glob(), Entry("a"), Entry("b")));
    Disconnect(agent);
  }
}

TEST_F(AgentTest, CursorAtTheFloorIsStillGood) {
  Put("d", "gone", "1");
  const Revision floor = Delete("d", "gone");
  const Revision head = Put("d", "b", "1");
  clock.unix_ms += 1000;
  ASSERT_TRUE(store.Compact(clock.unix_ms, 1'000'000, 1'000'000).ok());
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}, {{Glob(), Cursor(floor)}}));
  EXPECT_THAT(Markers({ReceiveOne(agent)}), ElementsAre(Complete(head)));
}

TEST_F(AgentTest, InterruptedLoadGoesOnBehindItsLastKey) {
  for (const char* key : {"a", "b", "c"}) Put("d", key, "1");
  const Revision start = Head("d");
  Put("d", "a", "2");  // behind the load: comes by the replay
  const Revision head = Delete("d", "c");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}, {{Glob(), Cursor(start, "a")}}));
  const std::vector<Got> all = ReceiveAll(agent);
  EXPECT_THAT(Markers(all), ElementsAre(Complete(head)));
  EXPECT_THAT(ResourceNames(all), UnorderedElementsAre(Glob(), Entry("a"), Entry("b")));
  EXPECT_THAT(RemovedNames(all), UnorderedElementsAre(Entry("c")));
}

TEST_F(AgentTest, PrefixCollectionGetsItsKeysAndEveryBookmark) {
  Put("d", "eu-1", "1");
  Put("d", "us-1", "1");
  const std::string name = Glob("d", "eu-");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {name}));
  EXPECT_THAT(ResourceNames(ReceiveAll(agent)), UnorderedElementsAre(name, Entry("eu-1")));
  const Revision other = Put("d", "us-2", "1");
  EXPECT_EQ(ReceiveOne(agent).resources,
            (std::map<std::string, std::string>{{name, Complete(other)}}));
  Put("d", "eu-2", "1");
  EXPECT_THAT(ResourceNames({ReceiveOne(agent)}), UnorderedElementsAre(name, Entry("eu-2")));
}

TEST_F(AgentTest, CursorIsHonouredInLaterRequestsToo) {
  Declare("e");
  const Revision head = Put("e", "a", "1");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}));
  ReceiveAll(agent);
  common::DeltaRequest later = Sub(common::kEntryType, {Glob("e")});
  later.initial_versions = {{Glob("e"), Cursor(head)}};
  Request(agent, later);
  EXPECT_THAT(Markers({ReceiveOne(agent)}, Glob("e")), ElementsAre(Complete(head)));
}

TEST_F(AgentTest, SubscribingAgainLoadsAgain) {
  Put("d", "a", "1");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}));
  ReceiveAll(agent);
  Request(agent, Sub(common::kEntryType, {}, {Glob()}));
  EXPECT_TRUE(Quiet(agent));
  Request(agent, Sub(common::kEntryType, {Glob()}));
  EXPECT_THAT(Markers(ReceiveAll(agent)), ElementsAre(Begin(Head("d")), Complete(Head("d"))));
}

TEST_F(AgentTest, WithdrawnAndUngrantedDatasetsAreRefusedByName) {
  Declare("private", {"someone"});
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob(), Glob("private"), Glob("nowhere")}));
  std::map<std::string, int> codes;
  for (const Got& got : ReceiveAll(agent)) {
    for (const Got::Error& error : got.errors) {
      codes[error.name] = error.code;
      EXPECT_TRUE(got.removed.contains(error.name));
    }
  }
  EXPECT_EQ(codes, (std::map<std::string, int>{{Glob("private"), 7}, {Glob("nowhere"), 5}}));

  Withdraw("d");  // unasked
  const Got gone = ReceiveOne(agent);
  ASSERT_EQ(gone.errors.size(), 1u);
  EXPECT_EQ(gone.errors[0].name, Glob());
  EXPECT_EQ(gone.errors[0].code, 5);

  Declare("private", {"reader"});  // granted
  EXPECT_THAT(Markers(ReceiveAll(agent), Glob("private")),
              ElementsAre(Begin(Head("private")), Complete(Head("private"))));
  Declare("private", {"someone"});  // and taken back
  const Got lost = ReceiveOne(agent);
  ASSERT_EQ(lost.errors.size(), 1u);
  EXPECT_EQ(lost.errors[0].code, 7);
  EXPECT_TRUE(lost.removed.contains(Glob("private")));
}

TEST_F(AgentTest, OwnerMayConsumeItsOwnDataset) {
  Declare("mine", {});
  const StreamId agent = Open();
  common::DeltaRequest first = AgentFirst(common::kEntryType, {Glob("mine")});
  first.node->id = "owner";
  Request(agent, first);
  EXPECT_THAT(Markers(ReceiveAll(agent), Glob("mine")),
              ElementsAre(Begin(Head("mine")), Complete(Head("mine"))));
}

TEST_F(AgentTest, ProbeIsAnsweredEachTimeButCommitsAreNotPushed) {
  const std::string name = common::DatasetStateName("d");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kDatasetStateType, {name}));
  ReceiveOne(agent);
  Put("d", "a", "1");
  EXPECT_TRUE(Quiet(agent));
  for (int probe = 0; probe < 2; ++probe) {
    Request(agent, Sub(common::kDatasetStateType, {name}));
    const Got got = ReceiveOne(agent);
    EXPECT_EQ(got.resources.at(name), common::FormatVersion({kEpoch, Head("d")}));
    tributary::v1::DatasetState state;
    ASSERT_TRUE(state.ParseFromString(got.payloads.at(name)));
    EXPECT_EQ(state.dataset(), "d");
    EXPECT_EQ(state.epoch(), "0000000000e0");
    EXPECT_EQ(state.revision(), Head("d"));
    EXPECT_EQ(state.entries(), 1u);
    EXPECT_EQ(state.bytes(), 2u);
    EXPECT_EQ(state.digest().size(), 16u);
    EXPECT_EQ(state.owner(), "owner");
    EXPECT_EQ(state.max_value_bytes(), common::kValueBytesMax);
  }
}

TEST_F(AgentTest, StatusTellsCursorAndProof) {
  const std::string state_name = common::DatasetStateName("d");
  Put("d", "a", "1");
  const StreamId agent = Open();
  Request(agent, AgentFirst(common::kEntryType, {Glob()}));
  ASSERT_EQ(hub.Status().copies.size(), 1u);
  EXPECT_EQ(hub.Status().copies[0].state, "SYNCING");
  ReceiveAll(agent);
  CopyRow row = hub.Status().copies[0];
  EXPECT_EQ(row.service, "reader");
  EXPECT_EQ(row.instance, "host-1");
  EXPECT_EQ(row.state, "SYNCED");
  EXPECT_EQ(row.revision, Head("d"));
  EXPECT_EQ(row.head, Head("d"));
  EXPECT_EQ(row.digest, "unknown");
  EXPECT_EQ(row.proven_at, common::MonotonicTime{});

  Request(agent, Sub(common::kDatasetStateType, {state_name}));
  const common::MonotonicTime sent_at = clock.now;
  clock.now += std::chrono::seconds(5);
  ReceiveOne(agent);
  row = hub.Status().copies[0];
  EXPECT_EQ(row.digest, "ok");
  EXPECT_EQ(row.proven_at, sent_at);

  Request(agent, Sub(common::kDatasetStateType, {state_name}));
  Nack(agent, *Receive(agent), "digest mismatch");
  EXPECT_EQ(hub.Status().copies[0].digest, "mismatch");
  EXPECT_TRUE(Quiet(agent));  // and it is not sent again
  EXPECT_EQ(hub.counters().nacks, 1u);
  ASSERT_EQ(nacks.size(), 1u);
  EXPECT_THAT(nacks[0], ::testing::EndsWith("tributary.v1.DatasetState: digest mismatch"));

  Put("d", "b", "1");
  ReceiveAll(agent, /*ack=*/false);
  row = hub.Status().copies[0];
  EXPECT_EQ(row.head, Head("d"));
  EXPECT_LT(row.revision, row.head);
}

TEST_F(AgentTest, EqualPositionsShareTheirBytes) {
  for (int i = 0; i < 100; ++i) Put("d", fmt::format("k{}", i), std::string(100, 'x'));
  std::vector<StreamId> agents;
  for (int i = 0; i < 10; ++i) {
    agents.push_back(Open());
    Request(agents.back(), AgentFirst(common::kEntryType, {Glob()}));
  }
  const auto shared_by_all = [&](bool with_marker) {
    std::set<const std::string*> bodies;
    for (const StreamId agent : agents) {
      for (const Got& got : ReceiveAll(agent)) {
        if (got.resources.size() < 2) continue;
        bodies.insert(got.pieces[0].get());
        EXPECT_EQ(got.pieces.size(), with_marker ? 3u : 2u);
      }
    }
    return bodies.size() == 1;
  };
  EXPECT_TRUE(shared_by_all(false));
  Put("d", "k1", "changed");
  EXPECT_TRUE(shared_by_all(true));
  EXPECT_GE(hub.counters().encode_cache_hits, 18u);
}

}  // namespace
}  // namespace cp
