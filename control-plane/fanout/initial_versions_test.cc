// KnownVersions against a map, and how a request's versions are sorted.
#include "control-plane/fanout/initial_versions.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "common/names.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/request.h"

namespace cp {
namespace {

TEST(KnownVersionsTest, BehavesLikeAMap) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto text = std::make_shared<VersionText>();
  KnownVersions known(text);
  std::map<std::string, std::string> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = "name" + std::to_string(random() % 500);
    switch (random() % 4) {
      case 0:
      case 1: {
        const std::string version = std::to_string(random());
        known.Add(text->Add(name, version));
        model[name] = version;
        break;
      }
      case 2:
        EXPECT_EQ(known.Erase(name), model.erase(name) == 1);
        break;
      default: {
        const auto it = model.find(name);
        const auto found = known.Find(name);
        ASSERT_EQ(found.has_value(), it != model.end());
        if (found) {
          EXPECT_EQ(*found, it->second);
        }
      }
    }
    ASSERT_EQ(known.size(), model.size());
  }
  while (const auto offset = known.Peek()) {
    EXPECT_EQ(model.erase(std::string(known.At(*offset).name)), 1u);
    known.Pop();
  }
  EXPECT_TRUE(model.empty() && known.empty());
}

TEST(KnownVersionsTest, AnEmptyOneKnowsNothing) {
  KnownVersions known;
  EXPECT_FALSE(known.Find("a") || known.Erase("a") || known.Peek());
}

std::string Encoded(std::string_view type,
                    std::vector<std::pair<std::string, std::string>> versions) {
  common::DeltaRequest request;
  request.type_url = type;
  request.initial_versions = std::move(versions);
  return common::EncodeDeltaRequest(request);
}

TEST(InitialVersionsTest, AreSortedByDataset) {
  const std::string name = common::EntryName("d", "a b");
  auto request = ParseRequest(
      Variant::kDelta,
      Encoded(common::kEntryType, {{name, "1"},
                                   {common::EntryName("e", "k"), "2"},
                                   {common::CollectionName({.dataset = "d", .prefix = {}}), "c1"},
                                   {"xdstp:///tributary.v1.Entry/d/%61", "3"},
                                   {name, "4"}}));
  ASSERT_TRUE(request.ok()) << request.status();
  InitialVersions& versions = request->versions;
  ASSERT_EQ(versions.entries().size(), 2u);
  EXPECT_EQ(versions.entries().at("d").size(), 1u) << "the later of two versions counts";
  EXPECT_EQ(versions.Find(name), "4");
  EXPECT_EQ(versions.others().size(), 2u) << "a collection and an odd spelling";
  EXPECT_FALSE(versions.Find("nothing"));
}

TEST(RequestTest, ReleasesItsChargeWithTheLastVersion) {
  auto charge = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = charge;
  auto request = ParseRequest(Variant::kDelta,
                              Encoded(common::kEntryType, {{common::EntryName("d", "k"), "1"}}),
                              std::move(charge));
  ASSERT_TRUE(request.ok());
  KnownVersions kept = std::move(request->versions.entries().at("d"));
  *request = {};
  EXPECT_FALSE(watch.expired());
  kept = {};
  EXPECT_TRUE(watch.expired());
}

TEST(RequestTest, LimitsAreNamed) {
  const std::string long_name(common::kResourceNameBytesMax + 1, 'n');
  common::DeltaRequest many;
  many.subscribe.assign(common::kExplicitNamesPerStreamMax + 1, "n");
  common::DeltaRequest featured;
  featured.node.emplace().features.assign(common::kClientFeaturesMax + 1, "f");
  const std::vector<std::pair<std::string, std::string>> states(
      common::kExplicitNamesPerStreamMax + 1, {"n", "1"});
  const struct {
    std::string bytes;
    std::string says;
  } cases[] = {
      {Encoded(common::kEntryType, {{long_name, "1"}}), "2049 bytes"},
      {Encoded(common::kEntryType, {{"n", long_name}}), "2049 bytes"},
      {Encoded(common::kEntryType, {{"n", "\xff"}}), "UTF-8"},
      {Encoded(common::kDatasetStateType, states), "100000"},
      {common::EncodeDeltaRequest(many), "100000"},
      {common::EncodeDeltaRequest(featured), "1000 features"},
  };
  for (const auto& c : cases) {
    const auto request = ParseRequest(Variant::kDelta, c.bytes);
    ASSERT_FALSE(request.ok()) << c.says;
    EXPECT_NE(common::Message(request.status()).find(c.says), std::string::npos)
        << request.status();
  }
}

}  // namespace
}  // namespace cp
