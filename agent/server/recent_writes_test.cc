#include "agent/server/recent_writes.h"

#include <gtest/gtest.h>

#include <string>

namespace agent {
namespace {

using std::chrono::milliseconds;

TEST(RecentWritesTest, KnowsAKeyForItsTime) {
  RecentWrites writes;
  const common::MonotonicTime start{std::chrono::seconds(1000)};
  writes.Note("orders", "a", start);
  EXPECT_TRUE(writes.Has("orders", "a", start));
  EXPECT_FALSE(writes.Has("orders", "b", start));
  EXPECT_FALSE(writes.Has("prices", "a", start));
  writes.Note("orders", "a", start + milliseconds(10));
  EXPECT_TRUE(writes.Has("orders", "a", start + RecentWrites::kKept)) << "written again";
  EXPECT_FALSE(writes.Has("orders", "a", start + RecentWrites::kKept + milliseconds(10)));
}

TEST(RecentWritesTest, BeyondItsBoundAnyKeyCounts) {
  RecentWrites writes;
  const common::MonotonicTime start{std::chrono::seconds(1000)};
  for (std::size_t i = 0; i <= kRecentWritesMax; ++i) {
    writes.Note("orders", std::to_string(i), start);
  }
  EXPECT_TRUE(writes.Has("orders", "0", start));
  EXPECT_TRUE(writes.Has("orders", "never", start));
  EXPECT_FALSE(writes.Has("orders", "never", start + RecentWrites::kKept));
}

}  // namespace
}  // namespace agent
