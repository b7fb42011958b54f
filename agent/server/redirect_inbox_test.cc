#include "agent/server/redirect_inbox.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace agent {
namespace {

using Strings = std::vector<std::string>;

TEST(RedirectInboxTest, KeepsTheOrderAndWakesOnce) {
  int wakes = 0;
  RedirectInbox inbox(/*keys_max=*/10, [&] { ++wakes; });
  inbox.Add(7, "a");
  inbox.Add(8, "x");
  inbox.Add(7, "b");
  inbox.Add(7, "a");
  EXPECT_EQ(wakes, 1);
  const auto taken = inbox.TakeAll();
  EXPECT_EQ(taken.at(7), (Strings{"a", "b", "a"}));
  EXPECT_EQ(taken.at(8), Strings{"x"});
  EXPECT_TRUE(inbox.TakeAll().empty());
  inbox.Add(7, "c");
  EXPECT_EQ(wakes, 2);
}

TEST(RedirectInboxTest, EverythingTakesInWhatCameBeforeAndAfter) {
  RedirectInbox inbox(/*keys_max=*/10, [] {});
  inbox.Add(7, "a");
  inbox.Add(7, std::nullopt);
  inbox.Add(7, "b");
  EXPECT_EQ(inbox.TakeAll().at(7), std::nullopt);
}

// Goal: nothing is lost, and memory is bounded, when a loop does not come to it.
TEST(RedirectInboxTest, BeyondTheBoundAClientIsToldEverything) {
  RedirectInbox inbox(/*keys_max=*/3, [] {});
  inbox.Add(7, "a");
  inbox.Add(8, "x");
  inbox.Add(7, "b");
  inbox.Add(7, "c");  // one too many: 7's keys make room
  inbox.Add(8, "y");
  inbox.Add(8, "z");
  inbox.Add(9, "q");
  const auto taken = inbox.TakeAll();
  EXPECT_EQ(taken.at(7), std::nullopt);
  EXPECT_EQ(taken.at(8), (Strings{"x", "y", "z"}));
  EXPECT_EQ(taken.at(9), std::nullopt);
  inbox.Add(7, "a");
  EXPECT_EQ(inbox.TakeAll().at(7), Strings{"a"}) << "the bound counts what waits";
}

}  // namespace
}  // namespace agent
