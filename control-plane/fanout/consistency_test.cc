// Property: an agent that applies what it received at each complete marker, and nothing in between,
// holds exactly what the store held at that revision – whatever commits, compactions, disconnects
// and slow reads come between.  TRIBUTARY_SEED overrides the seed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "control-plane/fanout/hub_harness.h"

namespace cp {
namespace {

using Content = std::map<std::string, std::string>;  // name → version

std::uint64_t Seed() {
  const char* const text = std::getenv("TRIBUTARY_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
}

// An agent reduced to its rules: stages what comes, applies it at the markers.
class AgentModel {
 public:
  explicit AgentModel(common::Collection collection) : name_(common::CollectionName(collection)) {}

  common::DeltaRequest FirstRequest() {
    staged_.clear();
    const auto cursor = Cursor();
    return AgentFirst(common::kEntryType, {name_},
                      cursor ? Versions{{name_, *cursor}} : Versions{});
  }

  // The revision that is now complete, if the response ended in a complete marker.
  std::optional<Revision> Apply(const Got& got) {
    std::optional<common::Marker> marker;
    for (const std::string& name : got.removed) staged_[name] = {};
    for (const auto& [name, version] : got.resources) {
      if (name == name_) {
        marker = common::ParseMarker(version);
      } else {
        staged_[name] = version;
      }
    }
    if (!marker) return std::nullopt;
    if (marker->kind == common::Marker::Kind::kBegin) {
      staged_.clear();
      loading_ = marker->at.revision;
      loaded_.clear();
      last_name_.reset();
      return std::nullopt;
    }
    Content& target = loading_ ? loaded_ : content_;
    Commit(target);
    if (loading_) content_ = std::move(loaded_);
    loading_.reset();
    last_name_.reset();
    complete_ = marker->at.revision;
    return complete_;
  }

  // A load may be persisted key by key: afterwards the cursor carries the last key.
  void PersistLoad() {
    if (!loading_ || staged_.empty()) return;
    for (const auto& [name, version] : staged_) {
      // Only the load itself is in key order; what the replay brings is not persisted alone.
      if (!version || (last_name_ && name <= *last_name_)) return;
    }
    last_name_ = staged_.rbegin()->first;
    Commit(loaded_);
  }

  const Content& content() const { return content_; }

 private:
  void Commit(Content& target) {
    for (const auto& [name, version] : staged_) {
      if (version) {
        target[name] = *version;
      } else {
        target.erase(name);
      }
    }
    staged_.clear();
  }
  std::optional<std::string> Cursor() {
    if (loading_ && last_name_) {
      return common::FormatCursor({.epoch = 0xE0,
                                   .revision = *loading_,
                                   .last_key = common::ParseEntryName(*last_name_)->key});
    }
    loading_.reset();
    if (!complete_) return std::nullopt;
    return common::FormatCursor({.epoch = 0xE0, .revision = *complete_});
  }

  const std::string name_;
  std::map<std::string, std::optional<std::string>> staged_;
  Content content_;
  Content loaded_;
  std::optional<Revision> loading_;
  std::optional<std::string> last_name_;
  std::optional<Revision> complete_;
};

class World : public HubHarness {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    Declare("d");
    Remember();
  }

  std::uint64_t Draw(std::uint64_t below) { return random_() % below; }

  // A batch touches a few keys, so that half of one would be seen.
  void CommitSomething() {
    std::vector<Write> writes;
    const std::uint64_t count = 1 + Draw(8);
    for (std::uint64_t i = 0; i < count; ++i) {
      Write write{.dataset = "d", .key = Key(), .value = {}};
      if (Draw(4) != 0) write.value = std::string(Draw(3) == 0 ? 300'000 : Draw(100), 'x');
      writes.push_back(std::move(write));
    }
    if (Draw(3) == 0) {
      CommitQuietly(std::move(writes));  // the notice comes later, or melts into the next
    } else {
      Commit(std::move(writes));
    }
    Remember();
  }
  void Compact() {
    clock.unix_ms += 1000;
    ASSERT_TRUE(store.Compact(0, Draw(20), 1'000'000).ok());
  }
  void Notice() { hub.OnCommitted({"d"}, nullptr); }

  // What the store held at `revision`, of keys with `prefix`.
  Content At(Revision revision, const std::string& prefix) const {
    Content content;
    const auto it = history_.find(revision);
    if (it == history_.end()) {
      ADD_FAILURE() << "no such revision " << revision;
      return content;
    }
    for (const auto& [key, version] : it->second) {
      if (key.starts_with(prefix)) content[common::EntryName("d", key)] = version;
    }
    return content;
  }

 private:
  std::string Key() { return fmt::format("{}-{}", Draw(2) == 0 ? "eu" : "us", Draw(40)); }
  void Remember() {
    Content content;
    const auto view = store.OpenView();
    const auto state = (*view)->Dataset("d");
    ASSERT_TRUE((*view)
                    ->ScanEntries((*state)->id, {}, {},
                                  [&content](const Stored& stored) {
                                    content.emplace(stored.key,
                                                    common::FormatVersion(stored.version));
                                    return true;
                                  })
                    .ok());
    history_[(*state)->head] = std::move(content);
  }

  std::mt19937_64 random_;
  std::map<Revision, Content> history_;
};

struct Peer {
  explicit Peer(std::string wanted) : prefix(std::move(wanted)), model({"d", prefix}) {}
  std::string prefix;
  AgentModel model;
  std::optional<StreamId> stream = {};
};

void Connect(World& world, Peer& peer) {
  peer.stream = world.Open();
  world.Request(*peer.stream, peer.model.FirstRequest());
}

// Takes at most one response.
void Advance(World& world, Peer& peer) {
  const std::optional<Got> got = world.Receive(*peer.stream);
  if (!got) return;
  if (const std::optional<Revision> at = peer.model.Apply(*got)) {
    ASSERT_EQ(peer.model.content(), world.At(*at, peer.prefix)) << "at revision " << *at;
  } else {
    peer.model.PersistLoad();
  }
  world.Ack(*peer.stream, *got);
}

TEST(ConsistencyTest, EveryCompleteMarkerIsAStateOfTheStore) {
  const std::uint64_t seed = Seed();
  std::cout << "seed " << seed << "\n";
  for (std::uint64_t round = 0; round < 20 && !::testing::Test::HasFatalFailure(); ++round) {
    SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={} round {}", seed, round));
    World world(seed + round * 1'000'003);
    std::vector<Peer> peers;
    for (const char* prefix : {"", "", "eu-", "us-", "none-"}) peers.emplace_back(prefix);
    for (int step = 0; step < 600; ++step) {
      Peer& peer = peers[world.Draw(peers.size())];
      const std::uint64_t dice = world.Draw(20);
      if (dice < 5) {
        world.CommitSomething();
      } else if (dice == 5) {
        world.Compact();
      } else if (!peer.stream) {
        Connect(world, peer);
      } else if (dice == 6) {
        world.Disconnect(*peer.stream);
        peer.stream.reset();
      } else {
        ASSERT_NO_FATAL_FAILURE(Advance(world, peer));
      }
    }
    world.Notice();
    for (Peer& peer : peers) {
      if (!peer.stream) Connect(world, peer);
      while (!world.Quiet(*peer.stream)) ASSERT_NO_FATAL_FAILURE(Advance(world, peer));
      EXPECT_EQ(peer.model.content(), world.At(world.Head("d"), peer.prefix));
    }
  }
}

}  // namespace
}  // namespace cp
