// Many synced agents in one process, for bench.py: each opens a delta stream with the cursor of a
// whole copy and is there when the complete marker has come.
//
//   bench_herd ADDRESS DATASET SERVICE STREAMS CHANNELS
//
// Commands on stdin, one a line, each answered by one line of JSON on stdout:
//   load      one stream without a cursor, to learn where the dataset stands
//   connect   opens all streams at once, resuming from where the dataset stood when last seen
//   drop      ends them all, at once
// A stream that is refused or lost comes back after 0.5 to 30 s with jitter, as agents do.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/backoff.h"
#include "common/delta_codec.h"
#include "common/limits.h"
#include "common/mailbox.h"
#include "common/names.h"
#include "common/open_files.h"
#include "common/packed.h"
#include "common/version.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr char kMethod[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

struct Event {
  enum class Kind { kComplete, kBegun, kEnded } kind = Kind::kEnded;
  std::size_t agent = 0;
  std::size_t bytes = 0;
  common::Cursor at = {};  // kComplete
};
using Events = common::Mailbox<Event>;

grpc::ByteBuffer Buffer(const common::DeltaRequest& request) {
  const grpc::Slice slice(common::EncodeDeltaRequest(request));
  return {&slice, 1};
}

// One stream of one agent. The herd deletes it, behind kEnded: gRPC has let go of it then.
class Stream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(std::size_t agent, grpc::GenericStub& stub, const common::DeltaRequest& first,
         Events& events)
      : agent_(agent), events_(events), request_(Buffer(first)) {
    stub.PrepareBidiStreamingCall(&context_, kMethod, {}, this);
    StartRead(&response_);
    StartWrite(&request_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnWriteDone(bool) override { Writing(false); }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    grpc::Slice slice;
    CHECK(response_.DumpToSingleSlice(&slice).ok());
    common::DeltaResponseView view;
    const std::string_view bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
    const auto unpacked = common::Unpack(bytes);
    CHECK(unpacked.ok());
    CHECK(common::DecodeDeltaResponse(*unpacked ? **unpacked : bytes, view).ok());
    for (const common::ResourceView& resource : view.resources) {
      const auto marker = common::ParseMarker(resource.version);
      if (!marker) continue;
      const bool complete = marker->kind == common::Marker::Kind::kComplete;
      Post({.kind = complete ? Event::Kind::kComplete : Event::Kind::kBegun,
            .agent = agent_,
            .bytes = bytes.size(),
            .at = {.epoch = marker->at.epoch, .revision = marker->at.revision}});
    }
    {
      common::MutexLock lock(mutex_);
      ack_ = std::string(view.nonce);
    }
    Writing(true);
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override {
    Post({.kind = Event::Kind::kEnded, .agent = agent_});  // the last line: `this` may be gone
  }

 private:
  void Post(Event event) { CHECK(events_.Post(event)); }
  // The newest ACK covers those before it; one write at a time.
  void Writing(bool want) {
    common::MutexLock lock(mutex_);
    if (!want) writing_ = false;
    if (writing_ || ack_.empty()) return;
    common::DeltaRequest ack;
    ack.type_url = common::kEntryType;
    ack.nonce = std::exchange(ack_, {});
    request_ = Buffer(ack);
    writing_ = true;
    StartWrite(&request_);
  }

  const std::size_t agent_;
  Events& events_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_, response_;
  common::Mutex mutex_;
  std::string ack_;
  bool writing_ = true;
};

class Herd {
 public:
  Herd(const std::string& address, std::string dataset, std::string service, std::size_t agents,
       std::size_t channels)
      : collection_(common::CollectionName({.dataset = std::move(dataset), .prefix = {}})),
        service_(std::move(service)),
        agents_(agents),
        events_(1'000'000) {
    for (std::size_t i = 0; i < channels; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
      stubs_.push_back(std::make_unique<grpc::GenericStub>(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
    for (std::size_t i = 0; i < agents; ++i) agents_[i].backoff.emplace(kMin, kMax, i);
  }

  // One agent alone, from nothing.
  void Load() {
    from_.reset();
    Open(0);
    while (!agents_[0].there) Turn();
    Drop();
  }
  void Connect() {
    from_ = cursor_;
    started_ = Clock::now();
    waits_.clear();
    bytes_ = begun_ = refused_ = 0;
    for (std::size_t i = 0; i < agents_.size(); ++i) Open(i);
    while (waits_.size() < agents_.size()) Turn();
    std::ranges::sort(waits_);
    std::printf(
        "{\"streams\": %zu, \"full_loads\": %zu, \"retries\": %zu, \"bytes\": %zu, "
        "\"p50_s\": %.3f, \"p99_s\": %.3f, \"max_s\": %.3f}\n",
        agents_.size(), begun_, refused_, bytes_, At(0.5), At(0.99), waits_.back());
  }
  void Drop() {
    dropping_ = true;
    for (Agent& agent : agents_) {
      if (agent.stream != nullptr) agent.stream->Cancel();
    }
    while (open_ > 0) Turn();
    due_.clear();
    dropping_ = false;
    for (Agent& agent : agents_) agent.there = false;
    std::puts("{}");
  }

 private:
  static constexpr auto kMin = common::kReconnectBackoffMin;
  static constexpr auto kMax = common::kReconnectBackoffMax;
  struct Agent {
    std::unique_ptr<Stream> stream = {};
    bool there = false;
    std::optional<common::Backoff> backoff = {};
  };

  double At(double part) const {
    return waits_[static_cast<std::size_t>(part * static_cast<double>(waits_.size() - 1))];
  }
  void Open(std::size_t i) {
    common::DeltaRequest first;
    first.node.emplace().id = service_;
    first.node->instance = std::to_string(i);
    first.node->features = {"tributary.cursor.v1", std::string(common::kPackedFeature)};
    first.type_url = common::kEntryType;
    first.subscribe = {collection_};
    if (from_) first.initial_versions = {{collection_, common::FormatCursor(*from_)}};
    ++open_;
    agents_[i].stream =
        std::make_unique<Stream>(i, *stubs_[i % stubs_.size()], first, events_);
  }
  void Turn() {
    auto wait = std::chrono::nanoseconds(std::chrono::seconds(1));
    if (!due_.empty())
      wait = std::clamp<decltype(wait)>(due_.begin()->first - Clock::now(), {}, wait);
    for (const Event& event : events_.WaitAll(wait)) Handle(event);
    while (!due_.empty() && due_.begin()->first <= Clock::now() && !dropping_) {
      Open(due_.begin()->second);
      due_.erase(due_.begin());
    }
  }
  void Handle(const Event& event) {
    Agent& agent = agents_[event.agent];
    bytes_ += event.bytes;
    if (event.kind == Event::Kind::kBegun) ++begun_;
    if (event.kind == Event::Kind::kComplete) cursor_ = event.at;
    if (event.kind == Event::Kind::kComplete && !std::exchange(agent.there, true)) {
      waits_.push_back(std::chrono::duration<double>(Clock::now() - started_).count());
      agent.backoff->Reset();
    }
    if (event.kind != Event::Kind::kEnded) return;
    --open_;
    agent.stream.reset();
    if (dropping_) return;
    ++refused_;
    due_.emplace(Clock::now() + agent.backoff->Next(), event.agent);
  }

  const std::string collection_, service_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::vector<Agent> agents_;
  Events events_;
  std::multimap<Clock::time_point, std::size_t> due_;  // agents that wait to come back
  std::optional<common::Cursor> cursor_, from_;        // seen last; resumed from
  Clock::time_point started_{};
  std::vector<double> waits_;
  std::size_t bytes_ = 0, begun_ = 0, refused_ = 0, open_ = 0;
  bool dropping_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("bench_herd ADDRESS DATASET SERVICE STREAMS CHANNELS\n", stderr);
    return 64;
  }
  common::RaiseOpenFiles(100'000);
  Herd herd(argv[1], argv[2], argv[3], std::stoul(argv[4]), std::stoul(argv[5]));
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "load") herd.Load();
    if (line == "connect") herd.Connect();
    if (line == "drop") herd.Drop();
    std::fflush(stdout);
  }
  std::fflush(stdout);
  std::_Exit(0);  // the streams that are still open end with the process
}
