// hot_paths: what every read and every entry goes through, for counting its instructions.
//
// Runs each path over the same input and, under valgrind's callgrind, dumps the counts of each
// under its name; count.py holds them to bounds. Prints "<name> <how many>" for each. Argument: a
// directory to work in.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/server/loop_parts.h"
#include "agent/server/session.h"
#include "agent/xds/cut.h"
#include "common/packed.h"
#include "control-plane/fanout/chunk_source.h"
#include "control-plane/store/lmdb_store.h"

namespace {

constexpr std::size_t kEntries = 10'000;
constexpr std::size_t kValueBytes = 100;
constexpr common::Epoch kEpoch = 0xABCDEF012345;
const common::Collection kCollection{.dataset = "bench.shop", .prefix = ""};

std::string KeyOf(std::size_t i) { return fmt::format("customer-{:07}", i); }
common::Version At(common::Revision revision) { return {.epoch = kEpoch, .revision = revision}; }

// Everything that `body` does counts as `count` times `name`.
template <class Body>
void Measure(const char* name, std::size_t count, Body body) {
  CALLGRIND_ZERO_STATS;
  body();
  CALLGRIND_DUMP_STATS_AT(name);
  std::printf("%s %zu\n", name, count);
}

class NobodyListens final : public agent::ChangeListener {
 public:
  bool Wants() const override { return false; }
  void OnChanged(std::vector<agent::ChangedKey>) override {}
  void OnReplaced(const std::string&) override {}
};

// --- the agent --------------------------------------------------------------------------------

class Agent {
 public:
  explicit Agent(const std::string& dir) {
    auto cache = agent::Cache::Open({.dir = dir, .service = "bench", .map_bytes = 256ULL << 20});
    CHECK(cache.ok());
    cache_ = *std::move(cache);
    writer_ = cache_->MakeWriter(listener_);
    CHECK(writer_->Add(kCollection).ok());
    for (std::size_t i = 0; i < kEntries; ++i) keys_.push_back(KeyOf(i));
  }

  void Load() {
    CHECK(writer_->BeginLoad(kCollection, At(1)).ok());
    CHECK(writer_->Load(kCollection, ChangesOf(keys_, 1)).ok());
    CHECK(writer_->Apply(kCollection, {}, At(1)).ok());
  }

  // Cuts of 100 entries each, all over the copy.
  void Apply(std::size_t cuts) {
    std::mt19937_64 random(1);
    for (std::size_t cut = 0; cut < cuts; ++cut) {
      std::vector<std::string> keys;
      for (int i = 0; i < 100; ++i) keys.push_back(keys_[random() % kEntries]);
      const common::Revision revision = 2 + cut;
      CHECK(writer_->Apply(kCollection, ChangesOf(keys, revision), At(revision)).ok());
    }
  }

  std::unique_ptr<agent::Reader> MakeReader(std::size_t index_bytes) {
    auto reader = cache_->MakeReader(index_bytes);
    CHECK(reader.ok());
    return *std::move(reader);
  }

 private:
  std::vector<agent::Change> ChangesOf(const std::vector<std::string>& keys,
                                       common::Revision revision) const {
    std::vector<agent::Change> changes;
    for (const std::string& key : keys) {
      changes.push_back({.key = key,
                         .version = At(revision),
                         .entry = common::EntryView{.value = value_, .content_type = {}}});
    }
    return changes;
  }

  const std::string value_ = std::string(kValueBytes, 'v');
  NobodyListens listener_;
  std::unique_ptr<agent::Cache> cache_;
  std::unique_ptr<agent::Writer> writer_;
  std::vector<std::string> keys_;
};

// A client's session without its socket.
class Client {
 public:
  explicit Client(std::unique_ptr<agent::Reader> reader)
      : parts_(std::move(reader), board_, clock_, shared_,
               agent::ServerIdentity{.service = "bench", .started = {}}),
        session_(1, parts_.services) {}

  // In pipelines of 64, as one turn of the loop each.
  void Get(std::size_t pipelines) {
    std::mt19937_64 random(2);
    for (std::size_t i = 0; i < pipelines; ++i) {
      input_.clear();
      for (int k = 0; k < 64; ++k) {
        const std::string key = kCollection.dataset + "/" + KeyOf(random() % kEntries);
        input_ += fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", key.size(), key);
      }
      CALLGRIND_TOGGLE_COLLECT;
      session_.Receive(input_);
      parts_.snapshot.Release();
      CALLGRIND_TOGGLE_COLLECT;
      CHECK(session_.output().size() == 64 * (kValueBytes + 8));
      session_.output().clear();
    }
  }

 private:
  const common::SystemClock clock_;
  agent::StatusBoard board_;
  agent::SharedServices shared_{/*threads=*/1, common::kClientsMax};
  agent::LoopParts parts_;
  agent::Session session_;
  std::string input_;
};

// What a stream brings, until it is handed on to the cache.
class Stream {
 public:
  Stream() {
    assembler_.Start();
    agent::CopyState copy;
    copy.collection = kCollection;
    assembler_.Track(copy, agent::CutAssembler::Offer::kNothing);
    std::string begin;
    common::AppendResourceField(
        common::CollectionName(kCollection),
        common::FormatMarker({.kind = common::Marker::Kind::kBegin, .at = At(kEntries)}),
        common::kEntryType, {}, begin);
    Take(std::move(begin));
  }

  // Keys as many have them: with a byte that names escape.
  static std::string Load() {
    const std::string value(kValueBytes, 'v');
    std::string out;
    for (std::size_t i = 0; i < kEntries; ++i) {
      common::AppendEntryResource(
          kCollection.dataset, fmt::format("customer:{:07}", i), At(1 + i),
          {.value = value, .published_at_ms = 1'700'000'000'123, .content_type = {}}, out);
    }
    return out;
  }
  void Take(std::string response) {
    common::AppendResponseTrailer(common::kEntryType, "", "n", common::kControlPlaneIdentifier,
                                  response);
    auto bytes = std::make_shared<const std::string>(std::move(response));
    common::DeltaResponseView view;
    CHECK(common::UnpackAndDecode(bytes, view).ok());
    const auto taken = assembler_.OnResponse(view, bytes, {.wants = {}, .held = {}});
    CHECK(taken.refused.empty() && taken.rejected.empty());
  }
  std::size_t held_bytes() const { return assembler_.held_bytes(); }

 private:
  agent::CutAssembler assembler_{{}};
};

void MeasureAgent(const std::string& dir) {
  Stream stream;
  std::string load = Stream::Load();
  Measure("take_entry", kEntries, [&] { stream.Take(std::move(load)); });
  CHECK(stream.held_bytes() > kEntries * kValueBytes);
  Agent agent(dir);
  Measure("load_entry", kEntries, [&] { agent.Load(); });
  Measure("apply_entry", 100 * 20, [&] { agent.Apply(20); });
  const std::pair<const char*, std::size_t> ways[] = {{"get", 1 << 20}, {"get_by_tree", 0}};
  for (const auto& [name, index_bytes] : ways) {
    Client client(agent.MakeReader(index_bytes));
    CALLGRIND_TOGGLE_COLLECT;  // Get collects only while the session works
    client.Get(1000);
    Measure(name, 64 * 100, [&] { client.Get(100); });
    CALLGRIND_TOGGLE_COLLECT;
  }
}

// --- the control plane ------------------------------------------------------------------------

void MeasureControlPlane(const std::string& dir) {
  auto store = cp::LmdbStore::Open({.dir = dir, .map_bytes = 256ULL << 20});
  CHECK(store.ok());
  cp::Group group;
  group.declarations.push_back(
      {.kind = "Dataset",
       .name = kCollection.dataset,
       .object = common::Dataset{.name = kCollection.dataset, .owner = "bench", .consumers = {}}});
  cp::Batch& batch = group.batches.emplace_back();
  batch.publisher_id = "bench";
  batch.sequence = 1;
  for (std::size_t i = 0; i < kEntries; ++i) {
    batch.writes.push_back(
        {.dataset = kCollection.dataset, .key = KeyOf(i), .value = std::string(kValueBytes, 'v')});
  }
  CHECK((*store)->Commit(group).ok());
  const auto view = (*store)->OpenView();
  CHECK(view.ok());
  const auto state = (*view)->Dataset(kCollection.dataset);
  CHECK(state.ok() && *state);
  cp::ChunkSource chunks(kEpoch, 0);
  Measure("splice_entry", kEntries, [&] {
    std::string after;
    for (bool more = true; more;) {
      const auto chunk = chunks.Load({**view, kCollection, **state}, after, 0);
      CHECK(chunk.ok());
      after = (*chunk)->last_key;
      more = !(*chunk)->reached_end;
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const std::string dir = argv[1];
  MeasureAgent(dir + "/cache");
  MeasureControlPlane(dir + "/store");
  return 0;
}
