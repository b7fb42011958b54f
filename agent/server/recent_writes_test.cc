#include "agent/server/recent_writes.h"

#include <gtest/gtest.h>

#include <string>

namespace agent {
namespace {

using std::chrono::milliseconds;
constexpr common::Epoch kWriteEpoch = 7;
constexpr common::MonotonicTime kWriteStart{std::chrono::seconds(1000)};

common::Version Written(common::Revision revision) { return {kWriteEpoch, revision}; }

TEST(RecentWritesTest, KnowsAKeyForItsTime) {
  RecentWrites writes;
  EXPECT_FALSE(writes.any());
  writes.Note("orders", "a", Written(1), kWriteStart);
  EXPECT_TRUE(writes.any());
  EXPECT_EQ(writes.Find("orders", "a", kWriteStart), Written(1));
  EXPECT_EQ(writes.Find("orders", "b", kWriteStart), std::nullopt);
  EXPECT_EQ(writes.Find("prices", "a", kWriteStart), std::nullopt);
  writes.Note("orders", "a", Written(2), kWriteStart + milliseconds(10));
  EXPECT_EQ(writes.Find("orders", "a", kWriteStart + RecentWrites::kKept), Written(2))
      << "written again";
  EXPECT_EQ(writes.Find("orders", "a", kWriteStart + RecentWrites::kKept + milliseconds(10)),
            std::nullopt);
}

TEST(RecentWritesTest, BeyondItsBoundAnyKeyCounts) {
  RecentWrites writes;
  for (std::size_t i = 0; i <= kRecentWritesMax; ++i) {
    writes.Note("orders", std::to_string(i), Written(i), kWriteStart);
  }
  EXPECT_EQ(writes.Find("orders", "0", kWriteStart), Written(kRecentWritesMax));
  EXPECT_EQ(writes.Find("orders", "never", kWriteStart), Written(kRecentWritesMax));
  EXPECT_EQ(writes.Find("orders", "never", kWriteStart + RecentWrites::kKept), std::nullopt);
}

}  // namespace
}  // namespace agent
