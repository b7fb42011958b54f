#include "agent/cache/control_plane_clock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace agent {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class HandClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return wall_ms; }
  common::MonotonicTime now{std::chrono::hours(5)};
  std::int64_t wall_ms = 1'000;
};

TEST(ControlPlaneClockTest, OwnWallClockUntilTheFirstAnswer) {
  HandClock clock;
  ControlPlaneClock theirs;
  EXPECT_EQ(theirs.UnixMillis(clock), 1'000);
  EXPECT_FALSE(theirs.known());
  theirs.OnAnswer(clock.now, clock.now, 0);  // a server that does not tell
  theirs.OnAnswer(clock.now + milliseconds(1), clock.now, 500'000);
  EXPECT_FALSE(theirs.known());
  theirs.OnAnswer(clock.now - milliseconds(20), clock.now, 500'000);
  EXPECT_EQ(theirs.UnixMillis(clock), 500'010);
  clock.now += milliseconds(90);
  EXPECT_EQ(theirs.UnixMillis(clock), 500'100);
}

TEST(ControlPlaneClockTest, AShorterRoundTripWinsAndAnOldOneWears) {
  HandClock clock;
  ControlPlaneClock theirs;
  theirs.OnAnswer(clock.now - milliseconds(10), clock.now, 500'000);
  theirs.OnAnswer(clock.now - milliseconds(2'000), clock.now, 499'600);  // says little
  EXPECT_EQ(theirs.UnixMillis(clock), 500'005);
  theirs.OnAnswer(clock.now - milliseconds(4), clock.now, 500'006);
  EXPECT_EQ(theirs.UnixMillis(clock), 500'008);
  clock.now += std::chrono::minutes(10);  // two clocks may have drifted apart by 300 ms
  theirs.OnAnswer(clock.now - milliseconds(200), clock.now, 1'100'000);
  EXPECT_EQ(theirs.UnixMillis(clock), 1'100'100);
}

TEST(ControlPlaneClockTest, BetterKnowledgeNeverTurnsItBack) {
  HandClock clock;
  ControlPlaneClock theirs;
  theirs.OnAnswer(clock.now - milliseconds(100), clock.now, 500'000);
  EXPECT_EQ(theirs.UnixMillis(clock), 500'050);
  theirs.OnAnswer(clock.now, clock.now, 500'010);  // 40 ms too far
  EXPECT_GE(theirs.UnixMillis(clock), 500'050);
  EXPECT_LE(theirs.UnixMillis(clock), 500'051);
  clock.now += milliseconds(30);
  EXPECT_LE(theirs.UnixMillis(clock), 500'051) << "it stands until the time has come";
  clock.now += milliseconds(30);
  EXPECT_EQ(theirs.UnixMillis(clock), 500'070);
}

TEST(ControlPlaneClockTest, AClockThatWasSetIsFollowedAtOnce) {
  for (const std::int64_t set_by : {-3'600'000, -500, 500, 3'600'000}) {
    SCOPED_TRACE(set_by);
    HandClock clock;
    ControlPlaneClock theirs;
    theirs.OnAnswer(clock.now - milliseconds(2), clock.now, 9'000'000);
    theirs.OnAnswer(clock.now - milliseconds(50), clock.now, 9'000'000 + set_by);
    EXPECT_EQ(theirs.UnixMillis(clock), 9'000'025 + set_by);
  }
}

// Whatever the delays: the error stays within half of the best round trip, plus drift – of the best
// before the last answer, as time does not go back when more is known.
TEST(ControlPlaneClockTest, ErrorIsBounded) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  HandClock clock;
  ControlPlaneClock theirs;
  const std::int64_t ahead_us = 1'700'000'000'000'000;
  const auto truth_us = [&](common::MonotonicTime at) {
    return ahead_us + std::chrono::duration_cast<microseconds>(at.time_since_epoch()).count();
  };
  std::int64_t best_us = 1'000'000'000, shown_ms = 0;
  for (int i = 0; i < 1'000; ++i) {
    clock.now += microseconds(100'000 + random() % 1'900'000);
    const std::int64_t before_us = best_us + 2'000;
    const auto up = microseconds(random() % 30'000), down = microseconds(random() % 30'000);
    theirs.OnAnswer(clock.now - up - down, clock.now, truth_us(clock.now - down) / 1000);
    best_us = std::min<std::int64_t>(best_us + 2'000, (up + down).count());
    const std::int64_t now_ms = theirs.UnixMillis(clock);
    EXPECT_LE(std::abs(now_ms * 1000 - truth_us(clock.now)), before_us / 2 + 3'000) << i;
    EXPECT_GE(now_ms, shown_ms);
    shown_ms = now_ms;
  }
}

}  // namespace
}  // namespace agent
