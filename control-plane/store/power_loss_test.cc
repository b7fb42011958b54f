// The power goes off: of what was written since the last flush, the disk holds any part, page by
// page. What was acknowledged is there, and nothing is half there.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>
#include <optional>

#include "control-plane/store/check.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

constexpr int kLives = 60;
constexpr std::size_t kPowerLogBytes = 24 * common::kKiB;  // a checkpoint every few commits
constexpr std::size_t kPageBytes = 4096, kSectorBytes = 512;

using Contents = std::map<std::string, std::string>;
using Random = std::mt19937_64;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What lies in a data directory.
struct Disk {
  std::string data;
  std::array<std::string, 3> logs;

  static Disk Of(const std::string& dir) {
    Disk disk{.data = ReadFile(dir + "/data.mdb"), .logs = {}};
    for (std::size_t i = 0; i < 3; ++i) disk.logs[i] = ReadFile(fmt::format("{}/redo.{}", dir, i));
    return disk;
  }
  void WriteTo(const std::string& dir) const {
    std::ofstream(dir + "/data.mdb", std::ios::binary) << data;
    for (std::size_t i = 0; i < 3; ++i) {
      std::ofstream(fmt::format("{}/redo.{}", dir, i), std::ios::binary) << logs[i];
    }
  }
};

// Each piece as it is in one of `versions`; what lies behind the first may be missing whole.
std::string Mix(const std::vector<std::string>& versions, std::size_t piece, Random& random) {
  std::string mixed = versions.front();
  for (const std::string& version : versions) mixed.resize(std::max(mixed.size(), version.size()));
  for (std::size_t at = 0; at < mixed.size(); at += piece) {
    const std::string& from = versions[random() % versions.size()];
    if (at < from.size()) mixed.replace(at, piece, from, at, piece);
  }
  if (random() % 2 == 0) mixed.resize(std::max(versions.front().size(), mixed.size() / 2));
  return mixed;
}

// A store, what it has acknowledged, and what of it the disk must hold.
class Machine {
 public:
  explicit Machine(Random& random) : random_(random) {}

  void Boot() {
    dir_.emplace();
    disk_.WriteTo(dir_->path());
    if (random_() % 3 == 0 && !disk_.data.empty()) LosePowerWhileRecovering();
    Open();
  }

  void Open() {
    store_ = testing::OpenStore(dir_->path(), std::size_t{1} << 30, kPowerLogBytes);
    flushed_.clear();
    later_.clear();
    Look();
  }

  void Commit(const Group& group) {
    if (random_() % 4 == 0) {
      later_.emplace(store_->durable().current_log(), ReadFile(dir_->path() + "/data.mdb"));
    }
    ASSERT_TRUE(store_->Commit(group).ok());
    for (const Batch& batch : group.batches) Apply(batch, contents_);
    Look();
  }

  // Between two commits.
  void LosePower() {
    disk_ = Disk::Of(dir_->path());
    disk_.data = DataOnDisk();
    store_.reset();
  }

  // While `group` is appended to the log: it is there or not.
  void LosePowerAppending(const Group& group) {
    const Disk before = Disk::Of(dir_->path());
    const std::string data = DataOnDisk();
    const std::uint64_t log = store_->durable().current_log();
    ASSERT_TRUE(store_->Commit(group).ok());
    disk_ = before;
    disk_.data = data;
    if (store_->durable().current_log() == log) {
      const std::size_t file = log % disk_.logs.size();
      const std::string after = ReadFile(fmt::format("{}/redo.{}", dir_->path(), file));
      disk_.logs[file] = Mix({before.logs[file], after}, kSectorBytes, random_);
    }
    store_.reset();
    maybe_ = contents_;
    for (const Batch& batch : group.batches) Apply(batch, *maybe_);
  }

  void Check() {
    ASSERT_TRUE(CheckLmdbStore(*store_).ok()) << CheckLmdbStore(*store_);
    const Contents found = Read();
    if (maybe_ && found == *maybe_) contents_ = *maybe_;
    maybe_.reset();
    ASSERT_EQ(found, contents_);
  }

  std::uint64_t last_sequence() const { return *store_->LastSequence("p"); }
  std::uint64_t logs_begun() const { return logs_begun_; }

 private:
  static void Apply(const Batch& batch, Contents& contents) {
    for (const Write& write : batch.writes) {
      contents.erase(write.key);
      if (write.value) contents.emplace(write.key, *write.value);
    }
  }

  // Remembers data.mdb as of the begin of each log that is needed.
  void Look() {
    const std::uint64_t current = store_->durable().current_log();
    if (!flushed_.contains(current)) {
      flushed_[current] = ReadFile(dir_->path() + "/data.mdb");
      ++logs_begun_;
    }
    const std::uint64_t oldest = store_->durable().oldest_log();
    flushed_.erase(flushed_.begin(), flushed_.lower_bound(oldest));
    later_.erase(later_.begin(), later_.lower_bound(oldest));
  }

  // Flushed was the state at the begin of the oldest log; whatever came later may have got there.
  std::string DataOnDisk() {
    std::vector<std::string> versions{flushed_.begin()->second};
    for (const auto& [log, data] : later_) versions.push_back(data);
    versions.push_back(ReadFile(dir_->path() + "/data.mdb"));
    return Mix(versions, kPageBytes, random_);
  }

  void LosePowerWhileRecovering() {
    Open();
    const std::string recovered = ReadFile(dir_->path() + "/data.mdb");
    store_.reset();
    disk_.data = Mix({disk_.data, recovered}, kPageBytes, random_);
    dir_.emplace();
    disk_.WriteTo(dir_->path());
  }

  Contents Read() const {
    Contents contents;
    const auto view = *store_->OpenView();
    const auto state = *view->Dataset("d");
    if (!state) return contents;
    EXPECT_TRUE(view->ScanEntries(state->id, {}, {},
                                  [&](const Stored& stored) {
                                    contents.emplace(
                                        stored.key, common::EntryOfResource(stored.resource).value);
                                    return true;
                                  })
                    .ok());
    return contents;
  }

  Random& random_;
  std::optional<testing::TestDir> dir_;
  std::unique_ptr<LmdbStore> store_;
  Disk disk_;
  Contents contents_;
  std::optional<Contents> maybe_;
  std::map<std::uint64_t, std::string> flushed_;     // data.mdb at the begin of each log
  std::multimap<std::uint64_t, std::string> later_;  // and at some moments in it
  std::uint64_t logs_begun_ = 0;
};

Group RandomGroup(std::uint64_t sequence, Random& random) {
  Group group;
  group.now_ms = static_cast<std::int64_t>(sequence);
  for (std::uint64_t batches = 1 + random() % 3; batches > 0; --batches) {
    Batch batch = testing::MakeBatch("p", ++sequence, {});
    for (std::uint64_t writes = 1 + random() % 20; writes > 0; --writes) {
      std::string key = fmt::format("k{}", random() % 300);
      const std::size_t bytes = random() % 50 == 0 ? 20'000 : random() % 300;
      std::string value = std::to_string(sequence) + std::string(bytes, 'v');
      batch.writes.push_back(random() % 4 != 0 ? testing::Put("d", std::move(key), std::move(value))
                                               : testing::Del("d", std::move(key)));
    }
    group.batches.push_back(std::move(batch));
  }
  return group;
}

TEST(PowerLossTest, NothingAcknowledgedIsLostAndNothingIsHalfThere) {
  const std::uint64_t seed = testing::Seed();
  SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed));
  Random random(seed);
  Machine machine(random);
  machine.Boot();
  Group declare;
  declare.declarations.push_back(testing::DeclareDataset("d", "o"));
  machine.Commit(declare);
  for (int life = 0; life < kLives; ++life) {
    SCOPED_TRACE(fmt::format("life {}", life));
    for (std::uint64_t commits = random() % 60; commits > 0; --commits) {
      machine.Commit(RandomGroup(machine.last_sequence(), random));
      if (HasFatalFailure()) return;
    }
    if (random() % 2 == 0) {
      machine.LosePower();
    } else {
      machine.LosePowerAppending(RandomGroup(machine.last_sequence(), random));
    }
    machine.Boot();
    machine.Check();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(machine.logs_begun(), 2u * kLives);  // or no checkpoint was ever interrupted
}

}  // namespace
}  // namespace cp
