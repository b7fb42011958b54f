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

// What happened, for tests that would prove nothing without it.
struct Happened {
  std::uint64_t restores = 0, repairs = 0;
};

Happened RunSeed(std::uint64_t seed, int steps, bool restores = false) {
  SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed));
  const bool large = seed % 4 == 0;  // loads and cuts of many responses
  SimWorld world({.seed = seed,
                  .steps = large ? steps / 3 : steps,
                  .dir = ScratchDirectory(),
                  .value_bytes_max = large ? std::size_t{300'000} : std::size_t{64},
                  .restores = restores});
  EXPECT_EQ(world.Run(), "");
  EXPECT_GT(world.commits, 0u);
  EXPECT_GT(world.responses, 0u);
  return {world.restores, world.repairs};
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

Happened RunSeeds(std::uint64_t runs, bool restores) {
  if (const std::uint64_t seed = FromEnvironment("TRIBUTARY_SEED", 0); seed != 0)
    return RunSeed(seed, 300, restores);
  runs = FromEnvironment("TRIBUTARY_SIM_RUNS", runs);
  std::random_device random;
  const std::uint64_t first = random();
  std::printf("seeds %llu … %llu\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(first + runs - 1));
  Happened all;
  for (std::uint64_t i = 0; i < runs && !testing::Test::HasFailure(); ++i) {
    const Happened one = RunSeed(first + i, 300, restores);
    all.restores += one.restores;
    all.repairs += one.repairs;
  }
  return all;
}

TEST(SimTest, EveryCopyEqualsItsSubscriptionAndNoReaderSeesHalf) { RunSeeds(24, false); }

// History forks: the control plane is replaced by a backup of its past. Every copy serves a state
// that was, of the old history or the new one, and all are in the new one soon, most of them
// repaired by digests.
TEST(SimTest, AControlPlaneThatIsRestoredGetsItsCopiesMended) {
  const Happened happened = RunSeeds(12, true);
  EXPECT_GT(happened.restores, 0u);
  EXPECT_GT(happened.repairs, 0u);
}

}  // namespace
}  // namespace sim
