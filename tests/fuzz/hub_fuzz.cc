// The server's request path: whatever a client says, on either variant, ends at most its own
// stream, with a status that says why; responses stay well-formed and within their limits, and a
// bystander is served to the end.
//
// Input: one byte – which variant, and whether the client is slow –, then requests, each behind its
// length in two bytes, little-endian; what is left at the end is one more request.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/delta_codec.h"
#include "common/names.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/hub.h"
#include "tests/fakes/memory_store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr cp::StreamId kClient = 1;
constexpr cp::StreamId kBystander = 2;

class StillClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return 1'700'000'000'000; }
  common::MonotonicTime now{std::chrono::seconds(1)};
};

class Sink final : public cp::ResponseSink {
 public:
  struct Port {
    std::optional<cp::Response> sent;
    bool reading = true;
    bool closed = false;
  };
  void Send(cp::StreamId stream, cp::Response response) override {
    CHECK(!ports[stream].sent && !ports[stream].closed);
    CHECK(response.bytes() <= common::kSotwBytesMax);
    ports[stream].sent = std::move(response);
  }
  void ReadNext(cp::StreamId stream) override {
    CHECK(!ports[stream].reading);
    ports[stream].reading = true;
  }
  void Close(cp::StreamId stream, common::Status status) override {
    CHECK(stream == kClient);  // nobody else's stream ends
    CHECK(!status.ok() && !status.message().empty());
    ports[stream].closed = true;
  }
  void OnNack(cp::StreamId, const cp::Nack&) override {}
  std::map<cp::StreamId, Port> ports;
};

class World {
 public:
  explicit World(cp::Variant variant) : variant_(variant), hub_({}, clock_, store_, sink_) {
    cp::Group group;
    for (const char* name : {"d", "hidden"}) {
      group.declarations.push_back(
          {.kind = "Dataset",
           .name = name,
           .object = common::Dataset{
               .name = name, .owner = "o", .consumers = {*name == 'd' ? "*" : "nobody"}}});
    }
    CHECK(store_.Commit(group).ok());
    Put("a");
    Put("b c");
    hub_.OnCommitted({"d", "hidden"}, store_.catalog());
    hub_.OnOpened(kBystander, {.peer = "bystander", .identity = {}});
    common::DeltaRequest all;
    all.node.emplace().id = "bystander";
    all.type_url = common::kEntryType;
    Request(kBystander, cp::Variant::kDelta, common::EncodeDeltaRequest(all));
    hub_.OnOpened(kClient, {.peer = "client", .identity = {}, .variant = variant});
  }

  void Say(std::string_view bytes) {
    if (!sink_.ports[kClient].closed) Request(kClient, variant_, bytes);
  }
  void Put(const std::string& key) {
    cp::Group group;
    group.batches.push_back({.publisher_id = "p",
                             .sequence = ++sequence_,
                             .writes = {{.dataset = "d", .key = key, .value = "value"}}});
    CHECK(store_.Commit(group).ok());
    hub_.OnCommitted({"d"}, nullptr);
  }
  // The response under way arrives and is decoded.
  bool Deliver(cp::StreamId stream) {
    Sink::Port& port = sink_.ports[stream];
    if (!port.sent) return false;
    std::string bytes;
    for (const cp::SharedBytes& piece : port.sent->pieces) bytes.append(*piece);
    port.sent.reset();
    if (stream == kBystander || variant_ == cp::Variant::kDelta) {
      common::DeltaResponseView view;
      CHECK(common::DecodeDeltaResponse(bytes, view).ok());
      CHECK(!view.nonce.empty());
    }
    if (!port.closed) hub_.OnWriteDone(stream, true);
    return true;
  }
  void Wait() {
    for (int steps = 0; hub_.NextStep() && steps < 1000; ++steps) {
      clock_.now = std::max(clock_.now, *hub_.NextStep());
      hub_.Step();
    }
  }
  void End() {
    while (Deliver(kClient)) continue;
    hub_.OnClosed(kClient);
    while (Deliver(kBystander)) continue;
    Put("last");
    CHECK(Deliver(kBystander));  // it is served
    CHECK(hub_.streams() == 1);
  }

 private:
  void Request(cp::StreamId stream, cp::Variant variant, std::string_view bytes) {
    Sink::Port& port = sink_.ports[stream];
    CHECK(port.reading);
    port.reading = false;
    hub_.OnRequest(stream, cp::ParseRequest(variant, bytes));
    CHECK(port.reading || port.closed);
  }

  const cp::Variant variant_;
  StillClock clock_;
  cp::MemoryStore store_;
  Sink sink_;
  cp::Hub hub_;
  std::uint64_t sequence_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool slow = (data[0] & 2) != 0;
  World world((data[0] & 1) != 0 ? cp::Variant::kSotw : cp::Variant::kDelta);
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  while (rest.size() > 2) {
    const std::size_t length = static_cast<unsigned char>(rest[0]) |
                               static_cast<std::size_t>(static_cast<unsigned char>(rest[1])) << 8;
    rest.remove_prefix(2);
    const std::string_view request = rest.substr(0, length);
    rest.remove_prefix(request.size());
    world.Say(request);
    if (slow) continue;
    world.Deliver(kClient);
    world.Put("a");
    world.Wait();
  }
  world.End();
  return 0;
}
