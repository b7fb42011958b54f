// What the control plane's store can do, without gRPC. Named workloads, by 100 B entries:
//   store_load_ordered/N    a load in key order, batches of 1,000, N batches a commit
//   store_load_random/N     the same in random order
//   store_commit_small/N    N batches of one write a commit, over a loaded dataset
//   store_scan_entries      all entries in key order
//   store_scan_changes      all changes in order of position
// --benchmark_filter and the other flags of Google Benchmark choose; TRIBUTARY_BENCH_ENTRIES sets
// the entries of the dataset (default 1,000,000), TMPDIR where it lies (default /dev/shm; on a disk
// every commit waits for fsync).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "control-plane/store/lmdb_store.h"

namespace {

using cp::Batch;
using cp::Group;
using cp::LmdbStore;

constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kBatchWrites = 1000;

std::size_t EntriesOfDataset() {
  const char* given = std::getenv("TRIBUTARY_BENCH_ENTRIES");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1'000'000;
}

// A store in a directory of its own, with one dataset.
class Subject {
 public:
  Subject() : value_(kValueBytes, 'v') {
    const char* set = std::getenv("TMPDIR");
    dir_ = std::string(set != nullptr ? set : "/dev/shm") + "/tributary-store-bench-XXXXXX";
    CHECK(::mkdtemp(dir_.data()) != nullptr);
    auto store = LmdbStore::Open({.dir = dir_});
    CHECK(store.ok());
    store_ = *std::move(store);
    Group group;
    group.declarations.push_back(
        {.kind = "Dataset",
         .name = "bench.shop",
         .object = common::Dataset{.name = "bench.shop", .owner = "o", .consumers = {}}});
    CHECK(store_->Commit(group).ok());
    keys_.reserve(EntriesOfDataset());
    for (std::size_t i = 0; i < EntriesOfDataset(); ++i) {
      keys_.push_back(fmt::format("customer-{:010}", i));
    }
  }
  ~Subject() {
    store_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Shuffle() { std::shuffle(keys_.begin(), keys_.end(), std::mt19937_64(1)); }

  // All keys, in the order they are in.
  void Load(std::size_t batches_a_commit) {
    Group group;
    for (std::size_t from = 0; from < keys_.size(); from += kBatchWrites) {
      Batch& batch = group.batches.emplace_back();
      const std::size_t to = std::min(keys_.size(), from + kBatchWrites);
      for (std::size_t i = from; i < to; ++i) batch.writes.push_back(WriteOf(keys_[i]));
      Name(batch);
      if (group.batches.size() == batches_a_commit || to == keys_.size()) Commit(group);
    }
  }

  void CommitSmall(std::size_t batches) {
    Group group;
    for (std::size_t i = 0; i < batches; ++i) {
      Batch& batch = group.batches.emplace_back();
      batch.writes.push_back(WriteOf(keys_[random_() % keys_.size()]));
      Name(batch);
    }
    Commit(group);
  }

  std::size_t Scan(bool changes) const {
    const auto view = store_->OpenView();
    CHECK(view.ok());
    const std::uint32_t id = (**(*view)->Dataset("bench.shop")).id;
    std::size_t bytes = 0;
    const auto visit = [&bytes](const cp::Stored& stored) {
      bytes += stored.resource.size();
      return true;
    };
    CHECK((changes ? (*view)->ScanChanges(id, {}, {}, visit)
                   : (*view)->ScanEntries(id, {}, {}, visit))
              .ok());
    return bytes;
  }

  std::size_t entries() const { return keys_.size(); }

 private:
  cp::Write WriteOf(const std::string& key) const {
    return {.dataset = "bench.shop", .key = key, .value = value_};
  }
  void Name(Batch& batch) {
    batch.publisher_id = "bench";
    batch.sequence = ++sequence_;
  }
  void Commit(Group& group) {
    group.now_ms = 1'700'000'000'000;
    CHECK(store_->Commit(group).ok());
    group.batches.clear();
  }

  const std::string value_;
  std::string dir_;
  std::unique_ptr<LmdbStore> store_;
  std::vector<std::string> keys_;
  std::uint64_t sequence_ = 0;
  std::mt19937_64 random_{1};
};

void CountEntries(benchmark::State& state, std::size_t entries) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(entries));
}

void RunLoad(benchmark::State& state, bool ordered) {
  for (auto unused : state) {
    (void)unused;
    state.PauseTiming();
    auto subject = std::make_unique<Subject>();
    if (!ordered) subject->Shuffle();
    state.ResumeTiming();
    subject->Load(static_cast<std::size_t>(state.range(0)));
    state.PauseTiming();
    subject.reset();
    state.ResumeTiming();
  }
  CountEntries(state, EntriesOfDataset());
}

void store_load_ordered(benchmark::State& state) { RunLoad(state, true); }
void store_load_random(benchmark::State& state) { RunLoad(state, false); }

void store_commit_small(benchmark::State& state) {
  Subject subject;
  subject.Load(16);
  const auto batches = static_cast<std::size_t>(state.range(0));
  for (auto unused : state) {
    (void)unused;
    subject.CommitSmall(batches);
  }
  CountEntries(state, batches);
}

void RunScan(benchmark::State& state, bool changes) {
  Subject subject;
  subject.Load(16);
  for (auto unused : state) {
    (void)unused;
    benchmark::DoNotOptimize(subject.Scan(changes));
  }
  CountEntries(state, subject.entries());
}

void store_scan_entries(benchmark::State& state) { RunScan(state, false); }
void store_scan_changes(benchmark::State& state) { RunScan(state, true); }

BENCHMARK(store_load_ordered)->Arg(1)->Arg(16)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(store_load_random)->Arg(1)->Arg(16)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(store_commit_small)->Arg(1)->Arg(64)->Arg(1024)->Unit(benchmark::kMicrosecond);
BENCHMARK(store_scan_entries)->Unit(benchmark::kMillisecond);
BENCHMARK(store_scan_changes)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
