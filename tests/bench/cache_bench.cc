// What the agent's cache can do, without socket and network. Named workloads:
//   cache_get_random/N      verified reads of random keys, N per Refresh
//   cache_load_ordered      a full load in key order, in chunks of 1 MiB, until it is visible
//   cache_apply_small/N     cuts of N random keys of a loaded copy
// --benchmark_filter and the other flags of Google Benchmark choose; TRIBUTARY_BENCH_ENTRIES sets
// the entries of the copy (default 1,000,000 of 100 B), TMPDIR where it lies (default /dev/shm).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/cache/cache.h"

namespace {

using agent::Cache;
using agent::Change;
using common::Collection;

constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kChunkBytes = 1 << 20;
constexpr common::Epoch kEpoch = 0xABCDEF012345;
const Collection kCollection{.dataset = "bench.shop", .prefix = ""};

class NobodyListens final : public agent::ChangeListener {
 public:
  bool Wants() const override { return false; }
  void OnChanged(std::vector<agent::ChangedKey>) override {}
  void OnReplaced(const std::string&) override {}
};

std::size_t EntriesOfCopy() {
  const char* given = std::getenv("TRIBUTARY_BENCH_ENTRIES");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1'000'000;
}

// A cache in a directory of its own, with one copy.
class Subject {
 public:
  Subject() : value_(kValueBytes, 'v') {
    const char* set = std::getenv("TMPDIR");
    dir_ = std::string(set != nullptr ? set : "/dev/shm") + "/tributary-cache-bench-XXXXXX";
    CHECK(::mkdtemp(dir_.data()) != nullptr);
    auto cache = Cache::Open({.dir = dir_, .service = "bench"});
    CHECK(cache.ok());
    cache_ = *std::move(cache);
    writer_ = cache_->MakeWriter(listener_);
    CHECK(writer_->Add(kCollection).ok());
    const std::size_t entries = EntriesOfCopy();
    keys_.reserve(entries);
    for (std::size_t i = 0; i < entries; ++i) keys_.push_back(fmt::format("customer-{:010}", i));
  }
  ~Subject() {
    writer_.reset();
    cache_.reset();
    std::filesystem::remove_all(dir_);
  }

  Change ChangeOf(std::size_t i) {
    Change change;
    change.key = keys_[i];
    change.version = {.epoch = kEpoch, .revision = ++revision_};
    change.entry.emplace();
    change.entry->value = value_;
    change.entry->published_at_ms = 1'700'000'000'000;
    return change;
  }
  common::Version Now() const { return {.epoch = kEpoch, .revision = revision_}; }

  void LoadAll() {
    CHECK(writer_->BeginLoad(kCollection, Now()).ok());
    std::vector<Change> chunk;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      chunk.push_back(ChangeOf(i));
      bytes += keys_[i].size() + kValueBytes;
      if (bytes < kChunkBytes) continue;
      CHECK(writer_->Load(kCollection, chunk).ok());
      chunk.clear();
      bytes = 0;
    }
    CHECK(writer_->Apply(kCollection, chunk, Now()).ok());
  }

  const std::vector<std::string>& keys() const { return keys_; }
  Cache& cache() { return *cache_; }
  agent::Writer& writer() { return *writer_; }

 private:
  const std::string value_;
  std::string dir_;
  NobodyListens listener_;
  std::unique_ptr<Cache> cache_;
  std::unique_ptr<agent::Writer> writer_;
  std::vector<std::string> keys_;
  common::Revision revision_ = 0;
};

void GetRandom(benchmark::State& state) {
  Subject subject;
  subject.LoadAll();
  CHECK(subject.cache().Check().ok());  // and every page is mapped
  const std::unique_ptr<agent::Reader> reader = *subject.cache().MakeReader();
  std::mt19937_64 random(1);
  const auto gets_per_refresh = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    CHECK(reader->Refresh().ok());
    for (std::size_t i = 0; i < gets_per_refresh; ++i) {
      const std::string& key = subject.keys()[random() % subject.keys().size()];
      CHECK(reader->CoverageOf(kCollection.dataset, key) == agent::Coverage::kReadable);
      const auto found = reader->Get(kCollection.dataset, key);
      CHECK(found.ok() && found->has_value());
      benchmark::DoNotOptimize((*found)->entry.value.data());
    }
    reader->Release();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(GetRandom)->Name("cache_get_random")->Arg(1)->Arg(16)->UseRealTime();

void LoadOrdered(benchmark::State& state) {
  Subject subject;
  for (auto _ : state) subject.LoadAll();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(subject.keys().size()));
  state.counters["file_bytes_per_entry"] = static_cast<double>(subject.cache().bytes_used()) /
                                           static_cast<double>(subject.keys().size());
}
BENCHMARK(LoadOrdered)->Name("cache_load_ordered")->UseRealTime()->Unit(benchmark::kMillisecond);

void ApplySmall(benchmark::State& state) {
  Subject subject;
  subject.LoadAll();
  std::mt19937_64 random(1);
  std::vector<Change> cut;
  for (auto _ : state) {
    cut.clear();
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      cut.push_back(subject.ChangeOf(random() % subject.keys().size()));
    }
    CHECK(subject.writer().Apply(kCollection, cut, subject.Now()).ok());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ApplySmall)->Name("cache_apply_small")->Arg(1)->Arg(100)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
