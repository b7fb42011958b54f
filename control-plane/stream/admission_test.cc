#include "control-plane/stream/admission.h"

#include <gtest/gtest.h>

#include <vector>

namespace cp {
namespace {

using std::chrono::milliseconds;

std::size_t TakeAll(TokenBucket& bucket, common::MonotonicTime now) {
  std::size_t taken = 0;
  while (bucket.Take(now)) ++taken;
  return taken;
}

TEST(TokenBucketTest, AllowsABurstThenItsRate) {
  const common::MonotonicTime start{std::chrono::hours(1)};
  TokenBucket bucket(/*per_second=*/100, /*burst=*/500, start);
  EXPECT_EQ(TakeAll(bucket, start), 500u);
  EXPECT_EQ(TakeAll(bucket, start + milliseconds(105)), 10u);
  EXPECT_EQ(TakeAll(bucket, start + milliseconds(100)), 0u) << "time that goes back gives nothing";
  EXPECT_EQ(TakeAll(bucket, start + std::chrono::hours(1)), 500u) << "never more than the burst";
}

TEST(TokenBucketTest, ARateOfZeroSetsNoLimitAndABurstIsAtLeastTheRate) {
  const common::MonotonicTime now{};
  TokenBucket open(0, 0, now);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(open.Take(now));
  TokenBucket bucket(10, 0, now);
  EXPECT_EQ(TakeAll(bucket, now), 10u);
}

TEST(ByteBudgetTest, CountsUntilTheChargeIsReleased) {
  ByteBudget budget(100);
  std::vector<std::shared_ptr<void>> charges = {budget.Take(60), budget.Take(40)};
  EXPECT_TRUE(charges[0] && charges[1]);
  EXPECT_EQ(budget.Take(1), nullptr);
  EXPECT_EQ(budget.used(), 100u) << "what was refused is not counted";
  charges[0].reset();
  EXPECT_TRUE(budget.Take(60));
  EXPECT_EQ(budget.used(), 40u);
  EXPECT_EQ(budget.Take(101), nullptr);
  EXPECT_EQ(budget.refused(), 2u);
}

}  // namespace
}  // namespace cp
