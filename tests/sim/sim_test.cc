// Whole-system simulation on one thread: a hub over a store in memory, agents' sync cores over real
// caches, and a network that delays, loses streams and kills agents. Seeded; TRIBUTARY_SEED repeats.
//
// At every moment a readable copy equals its dataset at exactly the copy's revision: never half a
// batch. After quiet time every copy equals the store, is proven fresh and verified by digest.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache_fixture.h"
#include "agent/xds/sync_core.h"
#include "control-plane/fanout/hub_harness.h"

namespace {

using common::Collection;
using common::Revision;
using Content = std::map<std::string, std::string>;

std::shared_ptr<const std::string> Join(const cp::Got& got) {
  auto bytes = std::make_shared<std::string>();
  for (const cp::SharedBytes& piece : got.pieces) bytes->append(*piece);
  return bytes;
}

// One agent: its process may die and come back, its stream may be lost.
class SimAgent final : private agent::RequestSink {
 public:
  SimAgent(cp::HubHarness& hub, std::string service, std::vector<common::Subscription> flags)
      : hub_(hub) {
    options_.service = std::move(service);
    options_.subscribe = std::move(flags);
    Boot();
  }

  bool connected() const { return stream_ != 0; }
  void Connect() {
    if (connected()) return;
    stream_ = hub_.Open();
    core_->OnConnecting("sim");
    core_->OnOpened();
    Deliver();
  }
  void Disconnect() {
    if (!connected()) return;
    requests_.clear();
    hub_.Disconnect(std::exchange(stream_, 0));
    core_->OnClosed(common::Error(common::StatusCode::kUnavailable, "lost"));
  }
  // Takes one response; false: none was there.
  bool Receive() {
    if (!connected()) return false;
    if (hub_.closed(stream_)) {
      Disconnect();
      return true;
    }
    const auto got = hub_.Receive(stream_);
    if (!got) return false;
    core_->OnResponse(Join(*got));
    Deliver();
    return true;
  }
  void Tick() {
    core_->Tick();
    Deliver();
  }
  void Kill() {
    if (connected()) hub_.Disconnect(std::exchange(stream_, 0));
    requests_.clear();
    core_.reset();
    reader_.reset();
    writer_.reset();
    cache_.reset();
    Boot();
  }
  std::vector<agent::CopyState> Copies() const { return writer_->Copies(); }
  std::shared_ptr<const agent::AgentStatus> Status() const { return board_.Get(); }
  agent::Coverage CoverageOf(const Collection& collection) {
    EXPECT_TRUE(reader_->Refresh().ok());
    return reader_->CoverageOf(collection.dataset, collection.prefix + "x");
  }
  Content Read(const Collection& collection) {
    Content content;
    EXPECT_TRUE(reader_->Refresh().ok());
    EXPECT_TRUE(reader_->Scan(collection.dataset, collection.prefix, "",
                              [&](std::string_view key, const agent::Found& found) {
                                content.emplace(key, found.entry.value);
                                return true;
                              }).ok());
    reader_->Release();
    return content;
  }
  const std::vector<std::string>& log() const { return lines_; }

 private:
  void Boot() {
    auto cache = agent::Cache::Open(
        {.dir = dir_.path(), .service = options_.service, .map_bytes = 1ULL << 30});
    CHECK(cache.ok());
    cache_ = *std::move(cache);
    writer_ = cache_->MakeWriter(listener_);
    auto reader = cache_->MakeReader();
    CHECK(reader.ok());
    reader_ = *std::move(reader);
    core_ = std::make_unique<agent::SyncCore>(options_, hub_.clock, *writer_, board_,
                                              static_cast<agent::RequestSink&>(*this), log_);
    CHECK(core_->Start().ok());
  }
  void Send(const common::DeltaRequest& request) override { requests_.push_back(request); }
  void Close(const common::Status& why) override { ADD_FAILURE() << "stream closed: " << why; }
  void Deliver() {
    while (!requests_.empty() && connected() && !hub_.closed(stream_)) {
      const common::DeltaRequest request = requests_.front();
      requests_.erase(requests_.begin());
      hub_.Request(stream_, request);
    }
  }

  cp::HubHarness& hub_;
  agent::SyncOptions options_;
  agent::TempDir dir_;
  agent::RecordingListener listener_;
  agent::StatusBoard board_;
  std::vector<std::string> lines_;
  common::Log log_{common::LogLevel::kWarn, common::LogFormat::kText,
                   [this](std::string_view line) { lines_.emplace_back(line); }};
  std::unique_ptr<agent::Cache> cache_;
  std::unique_ptr<agent::Writer> writer_;
  std::unique_ptr<agent::Reader> reader_;
  std::unique_ptr<agent::SyncCore> core_;
  std::vector<common::DeltaRequest> requests_;
  cp::StreamId stream_ = 0;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (const char* name : {"alpha", "beta"}) Declare(name);
    hub_.DeclareSubscription("s1", "web", "alpha");
    hub_.DeclareSubscription("s2", "web", "beta", "k1");
    hub_.DeclareSubscription("s3", "web", "beta", "k2");
    agents_.push_back(std::make_unique<SimAgent>(hub_, "web", Flags({})));
    agents_.push_back(std::make_unique<SimAgent>(hub_, "cart", Flags({"alpha", "beta"})));
    agents_.push_back(std::make_unique<SimAgent>(hub_, "cart", Flags({"beta", "beta/k1*"})));
  }

  void Step() {
    SimAgent& agent = *agents_[Below(agents_.size())];
    const std::size_t what = Below(100);
    if (what < 25) return Write();
    if (what < 75) return static_cast<void>(agent.Receive());
    if (what < 88) return Pass(Below(700));
    if (what < 93) return agent.Connect();
    if (what < 96) return agent.Disconnect();
    if (what < 97) return agent.Kill();
    if (what < 98) return Compact();
    if (what < 99) return Declare(Below(2) == 0 ? "alpha" : "beta", Below(3) != 0);
    return Resubscribe();
  }

  void CheckCuts() {
    for (const auto& agent : agents_) {
      for (const agent::CopyState& copy : agent->Copies()) {
        if (!copy.complete) continue;
        ASSERT_EQ(agent->Read(copy.collection), At(copy.collection, copy.cursor.revision))
            << common::CollectionName(copy.collection) << " at " << copy.cursor.revision;
      }
    }
  }

  void Settle() {
    Declare("alpha");
    Declare("beta");
    for (int round = 0; round < 60; ++round) {
      for (const auto& agent : agents_) {
        agent->Connect();
        while (agent->Receive()) {
        }
      }
      Pass(300);
    }
  }

  void CheckSettled() {
    for (const auto& agent : agents_) {
      const auto status = agent->Status();
      EXPECT_EQ(status->digest_mismatches, 0u);
      EXPECT_EQ(status->nacks, 0u);
      ASSERT_FALSE(status->copies.empty());
      for (const agent::CopyStatus& copy : status->copies) CheckCopy(*agent, copy);
    }
  }

 private:
  void CheckCopy(SimAgent& agent, const agent::CopyStatus& copy) {
    const std::string name = common::CollectionName(copy.collection);
    EXPECT_EQ(copy.phase, agent::CopyPhase::kSynced) << name;
    EXPECT_EQ(agent.Read(copy.collection), At(copy.collection, UINT64_MAX)) << name;
    ASSERT_TRUE(copy.proven_at.has_value()) << name;
    EXPECT_LT(hub_.clock.now - *copy.proven_at, std::chrono::seconds(5)) << name;
    EXPECT_EQ(copy.verified_at_ms > 0, copy.collection.prefix.empty()) << name;
  }

  std::size_t Below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  static std::vector<common::Subscription> Flags(const std::vector<std::string>& texts) {
    std::vector<common::Subscription> flags;
    for (const std::string& text : texts) flags.push_back(*common::ParseSubscribeFlag(text));
    return flags;
  }
  void Pass(std::size_t ms) {
    hub_.clock.now += std::chrono::milliseconds(ms);
    hub_.clock.unix_ms += static_cast<std::int64_t>(ms);
    for (const auto& agent : agents_) agent->Tick();
  }

  void Write() {
    const std::string dataset = Below(2) == 0 ? "alpha" : "beta";
    std::vector<cp::Write> writes;
    Content next = now_[dataset];
    std::set<std::string> keys;
    for (std::size_t i = 0, n = 1 + Below(6); i < n; ++i) {
      keys.insert(fmt::format("k{}%{}", Below(4), Below(12)));
    }
    for (const std::string& key : keys) {
      if (Below(4) == 0) {
        writes.push_back({.dataset = dataset, .key = key, .value = {}});
        next.erase(key);
      } else {
        const std::size_t size = Below(20) == 0 ? 400'000 : Below(40);
        std::string value(size, static_cast<char>('a' + Below(26)));
        writes.push_back({.dataset = dataset, .key = key, .value = value});
        next[key] = value;
      }
    }
    if (!hub_.store.catalog()->FindDataset(dataset)) return;
    const Revision revision = hub_.Commit(writes);
    history_[dataset][revision] = next;
    now_[dataset] = std::move(next);
  }
  void Declare(const std::string& dataset, bool granted = true) {
    hub_.Declare(dataset, granted ? std::vector<std::string>{"*"}
                                  : std::vector<std::string>{"nobody"});
  }
  void Compact() {
    ASSERT_TRUE(hub_.store.Compact(hub_.clock.unix_ms - 2000, 20, 1'000'000).ok());
  }
  void Resubscribe() {
    if (Below(2) == 0) {
      hub_.WithdrawSubscription("s3");
    } else {
      hub_.DeclareSubscription("s3", "web", "beta", Below(2) == 0 ? "k2" : "k3");
    }
  }
  Content At(const Collection& collection, Revision revision) {
    const auto& history = history_[collection.dataset];
    auto it = history.upper_bound(revision);
    if (it == history.begin()) return {};
    Content content;
    for (const auto& [key, value] : std::prev(it)->second) {
      if (collection.Covers(key)) content.emplace(key, value);
    }
    return content;
  }

  std::mt19937_64 random_;
  cp::HubHarness hub_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::map<std::string, Content> now_;
  std::map<std::string, std::map<Revision, Content>> history_;
};

TEST(Simulation, EveryCopyIsAlwaysAConsistentCutAndEndsEqual) {
  const std::uint64_t seed = agent::TestSeed();
  for (std::uint64_t world = 0; world < 25; ++world) {
    SCOPED_TRACE(fmt::format("world {}", world));
    World sim(seed + world);
    for (int step = 0; step < 400; ++step) {
      sim.Step();
      if (step % 5 == 0) sim.CheckCuts();
      if (testing::Test::HasFailure()) return;
    }
    sim.Settle();
    sim.CheckCuts();
    sim.CheckSettled();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
