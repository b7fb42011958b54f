// kill -9 at any moment: what was acknowledged is there, and nothing is half there.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "control-plane/store/check.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

constexpr int kRounds = 60;
constexpr std::size_t kLogBytes = 32 * common::kKiB;  // a checkpoint every few commits
constexpr Revision kCreated = 1;  // the revision that declaring the dataset takes

// Every batch follows from its sequence alone, so the state after any of them can be recomputed.
Batch BatchOf(std::uint64_t sequence) {
  std::mt19937_64 random(sequence);
  Batch batch = testing::MakeBatch("p", sequence, {});
  const std::uint64_t count = 1 + random() % 20;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string key = fmt::format("k{}", random() % 150);
    const bool is_put = i == 0 || random() % 4 != 0;  // at least one: each batch takes a revision
    std::string value = fmt::format("{}:{}:{}", sequence, i, std::string(random() % 400, 'v'));
    batch.writes.push_back(is_put ? testing::Put("d", std::move(key), std::move(value))
                                  : testing::Del("d", std::move(key)));
  }
  return batch;
}

using Contents = std::map<std::string, std::string>;

void Replay(std::uint64_t sequence, Contents& contents) {
  for (const Write& write : BatchOf(sequence).writes) {
    if (write.value) {
      contents[write.key] = *write.value;
    } else {
      contents.erase(write.key);
    }
  }
}

struct Acknowledged {
  std::uint64_t sequence = 0;
  Revision revision = 0;
};
constexpr ssize_t kAckBytes = sizeof(Acknowledged);

// In the child: commits until it is killed; acknowledges only what Commit has returned.
[[noreturn]] void CommitForever(const std::string& dir, int out) {
  const std::unique_ptr<LmdbStore> store =
      testing::OpenStore(dir, std::size_t{1} << 30, kLogBytes);
  Group declare;
  declare.declarations.push_back(testing::DeclareDataset("d", "o"));
  CHECK(store->Commit(declare).ok());
  std::uint64_t sequence = *store->LastSequence("p");
  while (true) {
    Group group;
    group.now_ms = static_cast<std::int64_t>(sequence);
    for (std::uint64_t count = 1 + sequence % 3; count > 0; --count) {
      group.batches.push_back(BatchOf(++sequence));
    }
    const auto outcomes = store->Commit(group);
    CHECK(outcomes.ok());
    for (std::size_t i = 0; i < outcomes->size(); ++i) {
      const Acknowledged ack{group.batches[i].sequence, (*outcomes)[i].revision};
      CHECK(write(out, &ack, sizeof ack) == kAckBytes);
    }
    if (sequence % 7 == 0) CHECK(store->Compact(group.now_ms - 50, 10, 20).ok());
  }
}

// Reads until `acks_max` came or `wait_ms` passed without one.
std::vector<Acknowledged> ReadAcks(int in, std::size_t acks_max, int wait_ms) {
  std::vector<Acknowledged> acks;
  pollfd ready{.fd = in, .events = POLLIN, .revents = 0};
  while (acks.size() < acks_max && poll(&ready, 1, wait_ms) > 0) {
    Acknowledged ack;
    if (read(in, &ack, sizeof ack) != kAckBytes) break;
    acks.push_back(ack);
  }
  return acks;
}

// One life of the child: killed after so many acknowledgements, or so long without one.
std::vector<Acknowledged> RunAndKill(const std::string& dir, std::mt19937_64& random) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    close(ends[0]);
    CommitForever(dir, ends[1]);
  }
  close(ends[1]);
  std::vector<Acknowledged> acks;
  // Half of the children live until they have acknowledged something, however slow they are.
  if (random() % 2 == 0) acks = ReadAcks(ends[0], 1, -1);
  for (const Acknowledged& ack :
       ReadAcks(ends[0], random() % 40, static_cast<int>(random() % 30))) {
    acks.push_back(ack);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (const Acknowledged& late : ReadAcks(ends[0], SIZE_MAX, -1)) acks.push_back(late);
  close(ends[0]);
  return acks;
}

Contents Read(const LmdbStore& store) {
  Contents contents;
  const auto view = store.OpenView();
  EXPECT_TRUE(view.ok());
  const auto state = (*view)->Dataset("d");
  EXPECT_TRUE(state.ok());
  if (!state->has_value()) return contents;
  EXPECT_TRUE((*view)
                  ->ScanEntries((*state)->id, {}, {},
                                [&](const Stored& stored) {
                                  contents.emplace(stored.key,
                                                   common::EntryOfResource(stored.resource).value);
                                  return true;
                                })
                  .ok());
  return contents;
}

TEST(KillTest, NothingAcknowledgedIsLostAndNothingIsHalfThere) {
  const std::uint64_t seed = testing::Seed();
  SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed));
  std::mt19937_64 random(seed);
  const testing::TestDir dir;
  Contents contents;
  std::uint64_t replayed = 0;
  std::size_t acks_seen = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::vector<Acknowledged> acks = RunAndKill(dir.path(), random);
    const std::unique_ptr<LmdbStore> store = testing::OpenStore(dir.path());
    ASSERT_TRUE(CheckLmdbStore(*store).ok()) << CheckLmdbStore(*store);
    const std::uint64_t last = *store->LastSequence("p");
    for (const Acknowledged& ack : acks) {
      ASSERT_LE(ack.sequence, last);
      ASSERT_EQ(ack.revision, kCreated + ack.sequence);
    }
    while (replayed < last) Replay(++replayed, contents);
    ASSERT_EQ(Read(*store), contents);
    acks_seen += acks.size();
    if (last == 0) continue;
    Group retry;
    retry.batches.push_back(BatchOf(last));
    const auto outcome = store->Commit(retry);
    ASSERT_TRUE(outcome.ok());
    EXPECT_EQ(outcome->front().revision, kCreated + last);
    EXPECT_FALSE(outcome->front().changed);
  }
  EXPECT_GT(acks_seen, 0u);  // or the test has shown nothing
}

}  // namespace
}  // namespace cp
