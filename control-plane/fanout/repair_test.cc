// Repair by digests, the control plane's half (docs/protocol.md).
#include <gtest/gtest.h>

#include "common/buckets.h"
#include "control-plane/fanout/hub_harness.h"
#include "control-plane/fanout/server_scenario.h"

namespace cp {
namespace {

constexpr Epoch kLostEpoch = 0xabc;

// What an agent holds: key → (version, value).
struct Held {
  std::string version;
  std::string value;
  friend bool operator==(const Held&, const Held&) = default;
};
using Copy = std::map<std::string, Held>;

Copy Of(HubHarness& h, const std::string& prefix = {}) {
  Copy copy;
  const auto view = h.store.OpenView();
  const auto state = (*view)->Dataset("d");
  CHECK((*view)
            ->ScanEntries((*state)->id, prefix, {},
                          [&](const Stored& stored) {
                            copy[std::string(stored.key)] = {
                                common::FormatVersion(stored.version),
                                std::string(common::EntryOfResource(stored.resource).value)};
                            return true;
                          })
            .ok());
  return copy;
}

common::BucketDigests Digests(const Copy& copy, std::size_t count) {
  common::BucketDigests digests(count);
  for (const auto& [key, held] : copy) {
    digests.Add(key, *common::ParseVersion(held.version), held.value);
  }
  return digests;
}

common::DeltaRequest FirstWithCursor(const std::string& glob, const std::string& cursor) {
  common::DeltaRequest request = AgentFirst(common::kEntryType, {glob}, {{glob, cursor}});
  request.node->features.emplace_back(common::kBucketsFeature);
  return request;
}

std::string LostCursor(Revision revision = 99) {
  return common::FormatCursor({.epoch = kLostEpoch, .revision = revision});
}

class RepairTest : public ::testing::Test {
 protected:
  RepairTest() {
    h.Declare("d");
    std::vector<Write> writes;
    for (int i = 0; i < 2000; ++i) {
      writes.push_back({.dataset = "d", .key = Key(i), .value = "v" + std::to_string(i)});
    }
    h.CommitQuietly(std::move(writes));
  }
  static std::string Key(int i) { return fmt::format("k{:04}", i); }

  // Connects with a useless cursor; the number of buckets that the question names.
  std::size_t Question(const std::string& cursor, const std::string& glob = Glob()) {
    stream = h.Open();
    h.Request(stream, FirstWithCursor(glob, cursor));
    const Got got = h.ReceiveOne(stream);
    EXPECT_EQ(got.resources.size(), 1u);
    const auto question = common::ParseQuestion(got.resources.at(glob));
    CHECK(question.has_value());
    return question->count;
  }
  void Answer(const common::BucketDigests& digests,
              const common::Collection& collection = {"d", ""}) {
    common::DeltaRequest request = Sub(common::kEntryType, {common::CollectionName(collection)});
    request.initial_versions = digests.Encode(collection);
    h.Request(stream, request);
  }
  // Does what an agent does with all that is sent; the number of entries that crossed the wire.
  std::size_t Apply(Copy& copy, const std::string& glob = Glob()) {
    std::size_t entries = 0;
    std::optional<common::BucketSet> marked;
    for (const Got& got : h.ReceiveAll(stream)) {
      for (const auto& [name, version] : got.resources) {
        if (const auto run = common::ParseRunName(name)) {
          if (!marked) marked.emplace(run->count);
          EXPECT_TRUE(marked->AddRun(run->first_bucket, version));
        }
      }
      if (got.resources.contains(glob)) markers.push_back(got.resources.at(glob));
      if (marked) std::erase_if(copy, [&](const auto& row) { return marked->Covers(row.first); });
      marked.reset();
      entries += Take(got, copy);
    }
    return entries;
  }
  static std::size_t Take(const Got& got, Copy& copy) {
    std::size_t entries = 0;
    for (const auto& [name, version] : got.resources) {
      const auto parts = common::ParseEntryName(name);
      if (!parts || parts->is_collection || name.find('#') != std::string::npos) continue;
      copy[parts->key] = {version,
                          std::string(common::ParseEntryPayload(got.payloads.at(name))->value)};
      ++entries;
    }
    for (const std::string& name : got.removed) copy.erase(common::ParseEntryName(name)->key);
    return entries;
  }

  HubHarness h;
  StreamId stream = 0;
  std::vector<std::string> markers;
};

TEST_F(RepairTest, OnlyDifferingBucketsCrossTheWire) {
  Copy copy = Of(h);
  copy[Key(1)].value = "lost write";
  copy["only here"] = {"000000000abc.98", "lost too"};
  copy.erase(Key(2));
  const std::size_t count = Question(LostCursor());
  EXPECT_EQ(count, 128u);
  Answer(Digests(copy, count));
  const std::size_t sent = Apply(copy);
  EXPECT_EQ(copy, Of(h));
  EXPECT_GE(sent, 2u);
  EXPECT_LE(sent, 3u * 40);
  ASSERT_EQ(markers.size(), 2u);
  EXPECT_EQ(markers[0].substr(0, 3), "r1.");
  EXPECT_EQ(markers[1].substr(0, 3), "c1.");
  h.Put("d", Key(1), "live again");
  EXPECT_EQ(Apply(copy), 1u);
  EXPECT_EQ(copy, Of(h));
}

TEST_F(RepairTest, AnEqualCopyGetsMarkersOnly) {
  Copy copy = Of(h);
  Answer(Digests(copy, Question(LostCursor())));
  EXPECT_EQ(Apply(copy), 0u);
  EXPECT_EQ(copy, Of(h));
  EXPECT_EQ(markers.size(), 2u);
}

TEST_F(RepairTest, BelowTheFloorRemovalsAreFoundByDigests) {
  Copy copy = Of(h);
  const Revision before = h.Head("d");
  h.Delete("d", Key(7));
  ASSERT_TRUE(h.store.Compact(h.clock.unix_ms + 1, 0, 1000).ok());
  const Epoch epoch = h.store.epoch();
  Answer(Digests(copy, Question(common::FormatCursor({.epoch = epoch, .revision = before}))));
  EXPECT_LE(Apply(copy), 40u);
  EXPECT_EQ(copy, Of(h));
  EXPECT_FALSE(copy.contains(Key(7)));
}

TEST_F(RepairTest, ChangesBetweenQuestionAndAnswerAreReplayed) {
  Copy copy = Of(h);
  const std::size_t count = Question(LostCursor());
  const common::BucketDigests digests = Digests(copy, count);
  h.Put("d", Key(3), "meanwhile");
  h.Delete("d", Key(4));
  h.Put("d", "new", "meanwhile");
  EXPECT_TRUE(h.Quiet(stream)) << "nothing is sent before the answer";
  Answer(digests);
  Apply(copy);
  EXPECT_EQ(copy, Of(h));
}

// Whatever is not a proper answer leads to a full load, and to the right copy.
TEST_F(RepairTest, OtherAnswersMeanAFullLoad) {
  enum class Kind { kNone, kOtherCount, kHalf, kMalformed };
  for (const Kind kind : {Kind::kNone, Kind::kOtherCount, Kind::kHalf, Kind::kMalformed}) {
    SCOPED_TRACE(static_cast<int>(kind));
    markers.clear();
    Copy copy = Of(h);
    const std::size_t count = Question(LostCursor());
    common::DeltaRequest request = Sub(common::kEntryType, {Glob()});
    const bool other = kind == Kind::kOtherCount;
    request.initial_versions = Digests(copy, other ? count * 2 : count).Encode({"d", ""});
    if (kind == Kind::kNone) request.initial_versions.clear();
    if (kind == Kind::kHalf) request.initial_versions.pop_back();
    if (kind == Kind::kMalformed) request.initial_versions[0].second = "?";
    h.Request(stream, request);
    copy.clear();
    EXPECT_EQ(Apply(copy), 2000u);
    EXPECT_EQ(copy, Of(h));
    EXPECT_EQ(markers[0].substr(0, 3), "b1.");
    h.Disconnect(stream);
  }
}

TEST_F(RepairTest, MostlyDifferentCopiesAreLoadedInFull) {
  Copy copy = Of(h);
  const std::size_t count = Question(LostCursor());
  Answer(common::BucketDigests(count));
  copy.clear();
  EXPECT_EQ(Apply(copy), 2000u);
  EXPECT_EQ(markers[0].substr(0, 3), "b1.");
}

TEST_F(RepairTest, AUsableCursorAsAnswerIsHonoured) {
  Copy copy = Of(h);
  Question(LostCursor());
  common::DeltaRequest request = Sub(common::kEntryType, {Glob()});
  request.initial_versions = {
      {Glob(), common::FormatCursor({.epoch = h.store.epoch(), .revision = h.Head("d")})}};
  h.Request(stream, request);
  EXPECT_EQ(Apply(copy), 0u);
  EXPECT_EQ(markers[0].substr(0, 3), "c1.");
}

TEST_F(RepairTest, ClientsWithoutTheFeatureAreNotAsked) {
  stream = h.Open();
  h.Request(stream, AgentFirst(common::kEntryType, {Glob()}, {{Glob(), LostCursor()}}));
  Copy copy;
  EXPECT_EQ(Apply(copy), 2000u);
  EXPECT_EQ(markers[0].substr(0, 3), "b1.");
}

TEST_F(RepairTest, APrefixIsRepairedByItself) {
  const std::string glob = Glob("d", "k00");
  Copy copy = Of(h, "k00");
  copy[Key(5)].value = "lost";
  const std::size_t count = Question(LostCursor(), glob);
  Answer(Digests(copy, count), {"d", "k00"});
  EXPECT_LE(Apply(copy, glob), 10u);
  EXPECT_EQ(copy, Of(h, "k00"));
}

TEST_F(RepairTest, AGrantWithdrawnWhileAskingEndsIt) {
  const std::size_t count = Question(LostCursor());
  h.Declare("d", {"other"});
  Answer(Digests({}, count));
  const std::vector<Got> all = h.ReceiveAll(stream);
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(ResourceNames(all).empty());
  EXPECT_EQ(all[0].errors.at(0).name, Glob());
  h.Declare("d");
  Copy copy;
  EXPECT_EQ(Apply(copy), 2000u);
}

// Long scans are done in steps, and one scan serves several agents.
TEST_F(RepairTest, ScansYieldAndAreShared) {
  for (int batch = 0; batch < 10; ++batch) {
    std::vector<Write> writes;
    for (int i = 0; i < 3000; ++i) {
      writes.push_back({.dataset = "d", .key = fmt::format("m{}-{}", batch, i), .value = "v"});
    }
    h.CommitQuietly(std::move(writes));
  }
  Copy copy = Of(h);
  copy["m5-7"].value = "lost";
  const std::size_t count = Question(LostCursor());
  EXPECT_EQ(count, 2048u);
  const std::size_t steps = h.steps;
  EXPECT_GE(steps, 1u);
  Answer(Digests(copy, count));
  Apply(copy);
  EXPECT_EQ(copy, Of(h));
  const std::size_t before = h.steps;
  Question(LostCursor());
  EXPECT_EQ(h.steps, before) << "the digests were kept";
  Answer(Digests(copy, count));
  ASSERT_TRUE(h.Receive(stream).has_value());  // the repair marker
  EXPECT_TRUE(h.hub.NextStep().has_value()) << "the search for marked buckets yields, too";
  EXPECT_EQ(Apply(copy), 0u);
  EXPECT_FALSE(h.hub.NextStep().has_value());
}

}  // namespace
}  // namespace cp
