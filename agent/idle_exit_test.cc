#include "agent/idle_exit.h"

#include <gtest/gtest.h>

#include "agent/healthcheck.h"

namespace agent {
namespace {

using std::chrono::seconds;
using Said = IdleExit::Verdict;

TEST(IdleExitTest, EndsOnceTheApplicationCameAndWent) {
  const common::MonotonicTime start{};
  IdleExit exit(seconds(10), start);
  EXPECT_EQ(exit.Step(start + seconds(100), false), Said::kStay) << "it may still be pulled";
  EXPECT_EQ(exit.Step(start + seconds(110), true), Said::kStay);
  EXPECT_EQ(exit.Step(start + seconds(119), false), Said::kStay);
  EXPECT_EQ(exit.Step(start + seconds(119), true), Said::kStay);
  EXPECT_EQ(exit.Step(start + seconds(128), false), Said::kStay);
  EXPECT_EQ(exit.Step(start + seconds(129), false), Said::kDone);
}

TEST(IdleExitTest, GivesUpWhenNobodyEverComes) {
  const common::MonotonicTime start{};
  IdleExit exit(seconds(10), start);
  EXPECT_EQ(exit.Step(start + seconds(199), false), Said::kStay);
  EXPECT_EQ(exit.Step(start + seconds(200), false), Said::kNobodyCame);
}

TEST(IdleExitTest, ReadsTheKernelsTables) {
  const std::string_view tcp =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 0100007F:26AD 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532 0 11 1 0\n"
      "   1: 0100007F:D431 0100007F:26AD 01 00000000:00000000 00:00000000 00000000 0 0 12 1 0\n"
      "   2: 0100007F:D431 0100007F:1F90 06 00000000:00000000 03:00000000 00000000 0 0 0 1 0\n"
      "   3: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 13 1 0\n";
  EXPECT_EQ(InetInodes(tcp, 9901), (std::set<std::uint64_t>{0, 13}));
  const std::string_view unix_sockets =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 21 /run/tributary/agent.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 22";
  EXPECT_EQ(UnixInodes(unix_sockets), (std::set<std::uint64_t>{21, 22}));
  for (const char* odd : {"", "\n", "x", "a b\nc d\n"}) {
    EXPECT_TRUE(InetInodes(odd, 1).empty());
    EXPECT_TRUE(UnixInodes(odd).empty());
  }
}

TEST(HealthcheckTest, CountsClients) {
  EXPECT_TRUE(CheckNoClients(R"({"clients":[]})").ok());
  EXPECT_TRUE(CheckNoClients("[]").ok());
  for (const char* page : {R"({"clients":[{}]})", "", "{", "{}", R"({"clients":3})"}) {
    EXPECT_FALSE(CheckNoClients(page).ok()) << page;
  }
}

}  // namespace
}  // namespace agent
