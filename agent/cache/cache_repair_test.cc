// Goal: a generation that is made of the right part of the old one holds just that part, and leaves
// the old one alone until it is complete.
#include <gtest/gtest.h>

#include "agent/cache/cache_fixture.h"
#include "common/buckets.h"

namespace agent {
namespace {

constexpr std::size_t kBuckets = 64;

class CacheRepairTest : public CacheFixture {
 protected:
  static std::string Key(int i) { return fmt::format("k{:04}", i); }
  void Fill(int count) {
    Changes changes;
    for (int i = 0; i < count; ++i) changes.Put(Key(i), At(1), fmt::format("v{}", i));
    LoadCopy(kOrders, changes, 10);
  }
};

TEST_F(CacheRepairTest, BucketsAreThoseOfTheEntries) {
  Fill(500);
  const auto digests = writer_->Buckets(kOrders, kBuckets);
  ASSERT_TRUE(digests.ok()) << digests.status();
  common::BucketDigests expected(kBuckets);
  for (int i = 0; i < 500; ++i) expected.Add(Key(i), At(1), fmt::format("v{}", i));
  EXPECT_EQ(common::BucketSet::Difference(*digests, expected).size(), 0u);
  EXPECT_EQ(writer_->Buckets({"none", ""}, kBuckets).status().code(),
            common::StatusCode::kFailedPrecondition);
}

TEST_F(CacheRepairTest, KeepsAllButTheBucketsThatAreSentAnew) {
  Fill(500);
  common::BucketSet resent(kBuckets);
  for (std::size_t bucket = 0; bucket < kBuckets; bucket += 3) resent.Add(bucket);
  ASSERT_EQ(writer_->BeginRepair(kOrders, At(20), resent), common::OkStatus());
  EXPECT_TRUE(writer_->Copies().at(0).repairing);
  EXPECT_EQ(Get("orders", Key(1)), "v1") << "the old one serves";
  ASSERT_EQ(writer_->Apply(kOrders, {}, At(21)), common::OkStatus());
  const CopyState state = writer_->Copies().at(0);
  EXPECT_FALSE(state.repairing);
  std::uint64_t kept = 0;
  common::Digest digest;
  for (int i = 0; i < 500; ++i) {
    const bool stays = !resent.Covers(Key(i));
    EXPECT_EQ(Get("orders", Key(i)), stays ? fmt::format("v{}", i) : "<none>") << Key(i);
    if (!stays) continue;
    ++kept;
    digest += common::EntryHash(Key(i), At(1), fmt::format("v{}", i));
  }
  EXPECT_EQ(state.entries, kept);
  EXPECT_EQ(state.digest, digest);
}

TEST_F(CacheRepairTest, DroppedItIsAsIfNothingHadBeen) {
  Fill(100);
  const CopyState before = writer_->Copies().at(0);
  ASSERT_EQ(writer_->BeginRepair(kOrders, At(20), common::BucketSet(kBuckets)), common::OkStatus());
  Reopen();
  EXPECT_TRUE(writer_->Copies().at(0).repairing);
  ASSERT_EQ(writer_->DropLoad(kOrders), common::OkStatus());
  const CopyState after = writer_->Copies().at(0);
  EXPECT_FALSE(after.loading || after.repairing);
  EXPECT_EQ(after.cursor, before.cursor);
  EXPECT_EQ(after.digest, before.digest);
  EXPECT_EQ(Get("orders", Key(99)), "v99");
}

}  // namespace
}  // namespace agent
