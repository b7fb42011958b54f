// The whole system under one seed, many times. TRIBUTARY_SEED=n runs that seed only,
// TRIBUTARY_SIM_RUNS=n that many; seeds that once failed stand in regressions.txt and run always.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "tests/sim/sim_world.h"

namespace sim {
namespace {

std::string ScratchDirectory() {
  const char* shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  return fmt::format("{}/tributary-sim.{}", shm, getpid());
}

void RunSeed(std::uint64_t seed, int steps) {
  SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed));
  const bool large = seed % 4 == 0;  // loads and cuts of many responses
  SimWorld world({.seed = seed,
                  .steps = large ? steps / 3 : steps,
                  .dir = ScratchDirectory(),
                  .value_bytes_max = large ? std::size_t{300'000} : std::size_t{64}});
  EXPECT_EQ(world.Run(), "");
  EXPECT_GT(world.commits, 0u);
  EXPECT_GT(world.responses, 0u);
}

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(SimTest, SeedsThatOnceFailed) {
  std::ifstream in(TRIBUTARY_SIM_REGRESSIONS);
  ASSERT_TRUE(in);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] != '#') RunSeed(std::stoull(line), 300);
  }
}

TEST(SimTest, EveryCopyEqualsItsSubscriptionAndNoReaderSeesHalf) {
  if (const std::uint64_t seed = FromEnvironment("TRIBUTARY_SEED", 0); seed != 0)
    return RunSeed(seed, 300);
  const std::uint64_t runs = FromEnvironment("TRIBUTARY_SIM_RUNS", 24);
  std::random_device random;
  const std::uint64_t first = random();
  std::printf("seeds %llu … %llu\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(first + runs - 1));
  for (std::uint64_t i = 0; i < runs && !HasFailure(); ++i) RunSeed(first + i, 300);
}

}  // namespace
}  // namespace sim
