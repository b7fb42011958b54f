// What is sent first, and that one stream's long work does not hold up the others.
#include <gtest/gtest.h>

#include "common/xds_limits.h"
#include "control-plane/fanout/server_scenario.h"

namespace cp {
namespace {

class FlowTest : public ServerScenario {
 protected:
  // `count` entries of dataset `name`, each with a value of `bytes`.
  void Fill(const std::string& name, std::size_t count, std::size_t bytes) {
    Declare(name);
    std::vector<Write> writes;
    for (std::size_t i = 0; i < count; ++i) {
      writes.push_back({.dataset = name, .key = KeyOf(i), .value = std::string(bytes, 'x')});
    }
    Commit(std::move(writes));
  }
  static std::string KeyOf(std::size_t i) { return "k" + std::to_string(1'000'000 + i); }
};

TEST_F(FlowTest, AnswersByNameThenChangesThenFirstLoads) {
  Fill("big", 3'000, 1'000);
  const StreamId stream = Connect({Glob()});
  See(stream);
  Request(stream, Sub(common::kEntryType, {Glob("big")}));
  const std::string named = Entry(KeyOf(7), "big");
  Put("d", "A", "v2");
  Request(stream, Sub(common::kEntryType, {named}));
  const auto resources = [&] { return Receive(stream)->resources; };
  EXPECT_GT(resources().size(), 100u) << "what was under way: the begin of the load";
  EXPECT_EQ(resources().count(named), 1u);
  EXPECT_EQ(resources().count(a), 1u);
  EXPECT_GT(resources().size(), 100u);
}

TEST_F(FlowTest, ALongComparisonGivesWayToOthers) {
  const std::size_t count = 2 * common::kScanEntriesPerTurn + 10;
  Fill("big", count, 1);
  const StreamId other = Connect({a});
  See(other);
  Versions versions;
  const std::string version = VersionOf("big", KeyOf(0));
  for (std::size_t i = 0; i < count; ++i) versions.emplace_back(Entry(KeyOf(i), "big"), version);
  const StreamId stream = Connect({Glob("big")}, std::move(versions));
  ASSERT_TRUE(hub.NextStep().has_value()) << "not done in one turn";
  Put("d", "A", "v2");
  ASSERT_TRUE(hub.NextStep().has_value());
  EXPECT_EQ(ReceiveOne(other).resources.count(a), 1u);
  EXPECT_TRUE(ReceiveOne(stream).empty()) << "all of it was current";
  Put("big", KeyOf(3), "new");
  EXPECT_EQ(ReceiveOne(stream).resources.count(Entry(KeyOf(3), "big")), 1u);
  EXPECT_FALSE(hub.NextStep().has_value());
}

TEST_F(FlowTest, ManyVersionsOfWhatIsGoneAreRemovedInPieces) {
  Versions versions;
  const std::size_t count = 40'000;
  for (std::size_t i = 0; i < count; ++i) {
    versions.emplace_back(Entry(KeyOf(i), i % 2 == 0 ? "d" : "undeclared"), "v");
  }
  const std::vector<Got> all = ReceiveAll(Connect({"*"}, std::move(versions)));
  EXPECT_GT(all.size(), 1u);
  EXPECT_EQ(RemovedNames(all).size(), count);
  EXPECT_EQ(ResourceNames(all), (std::set<std::string>{a, b, c}));
}

TEST_F(FlowTest, AnUncoveredVersionThatIsSubscribedMeanwhileIsNotRemoved) {
  const std::string held = Entry("A");
  const StreamId stream = Open();
  common::DeltaRequest first = First(common::kEntryType, {b}, {{held, "old"}, {z, "old"}});
  Request(stream, first);
  Request(stream, Sub(common::kEntryType, {held}));
  const Seen seen = See(stream);
  EXPECT_EQ(seen.resources, (std::set<std::string>{a, b}));
  EXPECT_EQ(seen.removed, (std::set<std::string>{z}));
}

TEST_F(FlowTest, AKeyUnderOneOfManyPrefixesIsSentOnce) {
  const StreamId stream = Connect({Glob("d", "A"), Glob("d", "ABX"), Glob("d", "AB0"),
                                   Glob("d", "B"), Entry("ABC"), Entry("CCC")});
  See(stream);
  for (const char* key : {"ABC", "CCC"}) {
    SCOPED_TRACE(key);
    Put("d", key, "v1");
    const std::vector<Got> all = ReceiveAll(stream);
    EXPECT_EQ(all.size(), 1u);
    EXPECT_EQ(ResourceNames(all), (std::set<std::string>{Entry(key)}));
  }
}

TEST_F(FlowTest, EverythingRejectedEndsByItselfAndLaterEachTime) {
  Fill("e", 64, 1);
  const StreamId stream = Connect({Glob("e")});
  std::size_t responses = 0;
  const common::MonotonicTime start = clock.now;
  while (const std::optional<Got> got = ReceiveLater(stream)) {
    ASSERT_LE(++responses, 2u * 64 - 1) << "a loop";
    Nack(stream, *got);
  }
  EXPECT_EQ(responses, 2u * 64 - 1);
  EXPECT_GE(clock.now - start, common::kRejectedBackoffMin * (1 + 2 + 4 + 8 + 16) / 2);
  EXPECT_FALSE(hub.NextStep().has_value());
}

}  // namespace
}  // namespace cp
