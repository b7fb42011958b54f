#include "agent/server/client_directory.h"

#include <gtest/gtest.h>

#include <vector>

namespace agent {
namespace {

TEST(ClientDirectoryTest, NewClientsGoInTurnAndToTheLoopWithTheFewest) {
  ClientDirectory clients(/*loops=*/3, /*clients_max=*/100);
  std::vector<std::size_t> loops;
  for (int i = 0; i < 7; ++i) loops.push_back(clients.Admit()->loop);
  EXPECT_EQ(loops, (std::vector<std::size_t>{0, 1, 2, 0, 1, 2, 0}));
  clients.Remove(2);
  clients.Remove(5);  // loop 1 has none left
  loops.clear();
  for (int i = 0; i < 4; ++i) loops.push_back(clients.Admit()->loop);
  EXPECT_EQ(loops, (std::vector<std::size_t>{1, 1, 2, 1}));
}

TEST(ClientDirectoryTest, IdsAreNotUsedAgainAndTheLimitIsForAllLoops) {
  ClientDirectory clients(/*loops=*/2, /*clients_max=*/3);
  for (const std::uint64_t id : {1U, 2U, 3U}) EXPECT_EQ(clients.Admit()->client, id);
  EXPECT_FALSE(clients.Admit());
  clients.Remove(2);
  clients.Remove(2);  // gone already
  EXPECT_EQ(clients.LoopOf(2), std::nullopt);
  const auto seat = clients.Admit();
  ASSERT_TRUE(seat);
  EXPECT_EQ(seat->client, 4u);
  EXPECT_EQ(clients.LoopOf(4), seat->loop);
  EXPECT_FALSE(clients.Admit());
}

}  // namespace
}  // namespace agent
