#include "common/buckets.h"

#include <gtest/gtest.h>

#include <map>

#include "common/digest.h"

namespace common {
namespace {

const Collection kWhole{.dataset = "orders.shop", .prefix = {}};
const Collection kPart{.dataset = "orders.shop", .prefix = "eu-"};

BucketDigests Fill(std::size_t count, int entries) {
  BucketDigests digests(count);
  for (int i = 0; i < entries; ++i) digests.Add("k" + std::to_string(i), {7, 3}, "value");
  return digests;
}

std::optional<BucketDigests> Decode(std::size_t count,
                                    const std::map<std::string, std::string>& versions,
                                    const Collection& collection = kPart) {
  return BucketDigests::Decode(collection, count,
                               [&](const std::string& name) -> std::optional<std::string_view> {
                                 const auto it = versions.find(name);
                                 if (it == versions.end()) return std::nullopt;
                                 return it->second;
                               });
}

TEST(BucketsTest, CountKeepsBucketsSmallWithinItsBounds) {
  struct Case {
    std::uint64_t entries;
    std::size_t want;
  };
  for (const Case& c : {Case{0, 64}, Case{1024, 64}, Case{1025, 128}, Case{1'000'000, 65'536},
                        Case{1'048'577, 65'536}, Case{UINT64_MAX, 65'536}}) {
    EXPECT_EQ(BucketCountFor(c.entries), c.want) << c.entries;
    EXPECT_TRUE(IsBucketCount(BucketCountFor(c.entries)));
  }
  for (const std::uint64_t bad : {0, 1, 32, 63, 65, 96, 131'072}) EXPECT_FALSE(IsBucketCount(bad));
}

// The sums of all buckets are the low half of the dataset's digest, in whatever order.
TEST(BucketsTest, SumsAddUpToTheDigest) {
  BucketDigests digests(64);
  Digest whole;
  std::uint64_t sum = 0;
  for (int i = 999; i >= 0; --i) {
    const std::string key = "k" + std::to_string(i);
    digests.Add(key, {7, 3}, "value");
    whole += EntryHash(key, {7, 3}, "value");
  }
  for (std::size_t i = 0; i < 64; ++i) sum += digests.sum(i);
  EXPECT_EQ(sum, whole.low);
  EXPECT_EQ(BucketSet::Difference(digests, Fill(64, 1000)).size(), 0u);
}

TEST(BucketsTest, DigestsCrossTheWire) {
  for (const std::size_t count : {std::size_t{64}, std::size_t{256}}) {
    const BucketDigests digests = Fill(count, 500);
    const auto runs = digests.Encode(kPart);
    EXPECT_EQ(runs.size(), count / 64);
    EXPECT_EQ(runs[0].first, CollectionName(kPart) + "#b/0/" + std::to_string(count));
    std::map<std::string, std::string> versions(runs.begin(), runs.end());
    const auto back = Decode(count, versions);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(BucketSet::Difference(digests, *back).size(), 0u);
    EXPECT_FALSE(Decode(count, versions, kWhole)) << "another collection's";
    EXPECT_FALSE(Decode(count * 2, versions)) << "half of the runs only";
  }
}

TEST(BucketsTest, MalformedDigestsCountAsNone) {
  const auto runs = Fill(128, 500).Encode(kPart);
  const std::map<std::string, std::string> good(runs.begin(), runs.end());
  for (const std::string& bad :
       {std::string(), std::string(1023, '0'), std::string(1025, '0'), std::string(1024, 'g'),
        "-" + std::string(1023, '0'), "0x" + std::string(1022, '0')}) {
    auto versions = good;
    versions[runs[1].first] = bad;
    EXPECT_FALSE(Decode(128, versions)) << bad.substr(0, 4) << bad.size();
  }
  EXPECT_TRUE(Decode(128, good));
  EXPECT_FALSE(Decode(100, good));
}

TEST(BucketsTest, OnlyDifferingBucketsAreMarked) {
  BucketDigests changed = Fill(256, 500);
  changed.Add("new", {7, 4}, "v");
  const BucketSet set = BucketSet::Difference(Fill(256, 500), changed);
  EXPECT_EQ(set.size(), 1u);
  EXPECT_TRUE(set.Covers("new"));
  const auto markers = set.Encode(kWhole);
  ASSERT_EQ(markers.size(), 1u);
  const auto name = ParseRunName(markers[0].first);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->collection, CollectionName(kWhole));
  EXPECT_EQ(name->count, 256u);
  BucketSet back(256);
  ASSERT_TRUE(back.AddRun(name->first_bucket, markers[0].second));
  EXPECT_EQ(back.size(), 1u);
  EXPECT_TRUE(back.Covers("new"));
}

TEST(BucketsTest, RejectsMalformedRuns) {
  BucketSet set(128);
  EXPECT_FALSE(set.AddRun(0, ""));
  EXPECT_FALSE(set.AddRun(0, "m1."));
  EXPECT_FALSE(set.AddRun(0, "m1.123"));
  EXPECT_FALSE(set.AddRun(0, "m2.0000000000000001"));
  EXPECT_FALSE(set.AddRun(1, "m1.0000000000000001"));
  EXPECT_FALSE(set.AddRun(128, "m1.0000000000000001"));
  EXPECT_EQ(set.size(), 0u);
  EXPECT_TRUE(set.AddRun(64, "m1.8000000000000001"));
  EXPECT_TRUE(set.Contains(64));
  EXPECT_TRUE(set.Contains(127));
  EXPECT_EQ(set.size(), 2u);
}

TEST(BucketsTest, ParsesMarkers) {
  const auto question = ParseQuestion(FormatQuestion(0xabc, 128));
  ASSERT_TRUE(question.has_value());
  EXPECT_EQ(question->epoch, 0xabcu);
  EXPECT_EQ(question->count, 128u);
  EXPECT_EQ(ParseRepair(FormatRepair({7, 9})), (Version{7, 9}));
  for (const char* bad : {"", "d1.", "d1.000000000abc.100", "r1.000000000abc.128", "d1.0.128",
                          "b1.000000000abc.128"}) {
    EXPECT_FALSE(ParseQuestion(bad)) << bad;
  }
  for (const char* bad : {"", "r1.", "d1.000000000abc.128", "r1.000000000abc"}) {
    EXPECT_FALSE(ParseRepair(bad)) << bad;
  }
}

TEST(BucketsTest, ParsesRunNames) {
  EXPECT_TRUE(ParseRunName("x#b/64/128"));
  for (const char* bad : {"", "x", "x#b/", "x#b/0", "x#b/0/", "x#b/0/63", "x#b/1/64", "x#b/64/64",
                          "x#b/00/64", "x#b/0/64/", "x#b/-64/128", "x#b/0/131072", "x#c/0/64"}) {
    EXPECT_FALSE(ParseRunName(bad)) << bad;
  }
}

}  // namespace
}  // namespace common
