// HubHarness: a Hub over a MemoryStore with scripted clients, for the tests beside it.
//
// Thread: the test's.  Lifetime: one test.
// The sink checks what every response must be: one write in flight, within the limit, a fresh
// nonce, no name twice, every Any of the response's type.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/entry.h"
#include "common/names.h"
#include "common/packed.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/hub.h"
#include "tests/fakes/memory_store.h"

namespace cp {

class ManualClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return unix_ms; }
  common::MonotonicTime now{std::chrono::seconds(1)};
  std::int64_t unix_ms = 1'700'000'000'000;
};

// A response taken apart and kept.
struct Got {
  struct Error {
    std::string name;
    int code = 0;
    std::string message;
  };
  std::string type;
  std::string nonce;
  std::string system_version;
  std::map<std::string, std::string> resources;  // name → version
  std::map<std::string, std::string> payloads;   // name → payload
  std::set<std::string> removed;
  std::vector<Error> errors;
  std::vector<SharedBytes> pieces;
  std::size_t bytes = 0;
  bool packed = false;

  bool empty() const { return resources.empty() && removed.empty() && errors.empty(); }
};

class HubHarness : public ResponseSink {
 public:
  explicit HubHarness(HubOptions options = {}) : hub(options, clock, store, *this) {}

  // --- store ---
  void Declare(const std::string& dataset, std::vector<std::string> consumers = {"*"}) {
    CommitDeclaration({.kind = "Dataset",
                       .name = dataset,
                       .object = common::Dataset{
                           .name = dataset, .owner = "owner", .consumers = std::move(consumers)}});
  }
  void Withdraw(const std::string& dataset) {
    CommitDeclaration({.kind = "Dataset", .name = dataset, .object = {}});
  }
  void DeclareSubscription(const std::string& name, const std::string& service,
                           const std::string& dataset, const std::string& prefix = {}) {
    common::Subscription subscription;
    subscription.name = name;
    subscription.service = service;
    subscription.collection = {.dataset = dataset, .prefix = prefix};
    CommitDeclaration({.kind = "Subscription", .name = name, .object = subscription});
  }
  void WithdrawSubscription(const std::string& name) {
    CommitDeclaration({.kind = "Subscription", .name = name, .object = {}});
  }
  Revision Put(const std::string& dataset, const std::string& key, const std::string& value) {
    return Commit({{.dataset = dataset, .key = key, .value = value}});
  }
  Revision Delete(const std::string& dataset, const std::string& key) {
    return Commit({{.dataset = dataset, .key = key, .value = {}}});
  }
  Revision Commit(std::vector<Write> writes) {
    std::set<std::string> datasets;
    for (const Write& write : writes) datasets.insert(write.dataset);
    const Revision revision = CommitQuietly(std::move(writes));
    hub.OnCommitted({datasets.begin(), datasets.end()}, nullptr);
    return revision;
  }
  // Without telling the hub.
  Revision CommitQuietly(std::vector<Write> writes) {
    Group group;
    group.batches.push_back({.publisher_id = "test", .writes = std::move(writes)});
    group.now_ms = clock.unix_ms;
    const auto outcomes = store.Commit(group);
    CHECK(outcomes.ok() && outcomes->at(0).status.ok());
    return outcomes->at(0).revision;
  }
  Revision Head(const std::string& dataset) {
    const auto view = store.OpenView();
    return (*(*view)->Dataset(dataset))->head;
  }
  std::string VersionOf(const std::string& dataset, const std::string& key) {
    const auto view = store.OpenView();
    const auto state = (*view)->Dataset(dataset);
    return common::FormatVersion((*(*view)->Get((*state)->id, key))->version);
  }

  // --- clients ---
  StreamId Open(std::string identity = {}, Variant variant = Variant::kDelta) {
    const StreamId id = ++last_stream_;
    ports_[id] = {.variant = variant, .reading = true};
    hub.OnOpened(id, {.peer = "test", .identity = std::move(identity), .variant = variant});
    return id;
  }
  // Over the wire and back, as in the program.
  void Request(StreamId stream, const common::DeltaRequest& request) {
    RequestBytes(stream, common::EncodeDeltaRequest(request));
  }
  void RequestBytes(StreamId stream, const std::string& bytes) {
    Port& port = ports_.at(stream);
    ASSERT_TRUE(port.reading) << "the hub has not asked for the next request";
    port.reading = false;
    hub.OnRequest(stream, ParseRequest(port.variant, bytes));
  }
  void Ack(StreamId stream, const Got& got) {
    common::DeltaRequest request;
    request.type_url = got.type;
    request.nonce = got.nonce;
    Request(stream, request);
  }
  void Nack(StreamId stream, const Got& got, const std::string& message = "no") {
    common::DeltaRequest request;
    request.type_url = got.type;
    request.nonce = got.nonce;
    request.error = {.code = 3, .message = message};
    Request(stream, request);
  }
  // The response under way arrives; absent: nothing was sent.
  std::optional<Got> Receive(StreamId stream) {
    Settle();
    Port& port = ports_.at(stream);
    if (!port.sent) return std::nullopt;
    Got got = Take(port);
    hub.OnWriteDone(stream, true);
    return got;
  }
  // As Receive, but lets time pass if the hub waits for it.
  std::optional<Got> ReceiveLater(StreamId stream) {
    while (Quiet(stream) && hub.NextStep()) clock.now = *hub.NextStep();
    return Receive(stream);
  }
  // As Receive, undecoded.
  std::optional<std::string> ReceiveBytes(StreamId stream) {
    Settle();
    Port& port = ports_.at(stream);
    if (!port.sent) return std::nullopt;
    std::string bytes;
    for (const SharedBytes& piece : port.sent->pieces) bytes.append(*piece);
    port.sent.reset();
    hub.OnWriteDone(stream, true);
    return bytes;
  }
  // What is due by now happens.
  void Settle() {
    for (; hub.NextStep() && *hub.NextStep() <= clock.now; ++steps) hub.Step();
  }
  // Everything, each response acknowledged.
  std::vector<Got> ReceiveAll(StreamId stream, bool ack = true) {
    std::vector<Got> all;
    while (std::optional<Got> got = Receive(stream)) {
      if (ack) Ack(stream, *got);
      all.push_back(*std::move(got));
      CHECK(all.size() < 100'000);
    }
    return all;
  }
  // The single response that is due.
  Got ReceiveOne(StreamId stream, bool ack = true) {
    const std::vector<Got> all = ReceiveAll(stream, ack);
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Got{} : all.front();
  }
  bool Quiet(StreamId stream) {
    Settle();
    return !ports_.at(stream).sent;
  }
  void Disconnect(StreamId stream) {
    ports_.erase(stream);
    hub.OnClosed(stream);
  }
  const std::optional<common::Status>& closed(StreamId stream) const {
    return ports_.at(stream).closed;
  }

  // --- ResponseSink ---
  void Send(StreamId stream, Response response) override {
    Port& port = ports_.at(stream);
    CHECK(!port.sent && !port.closed);
    EXPECT_LE(response.bytes(),
              port.variant == Variant::kDelta ? common::kResponseBytesMax : common::kSotwBytesMax);
    port.sent = std::move(response);
  }
  void ReadNext(StreamId stream) override {
    CHECK(!ports_.at(stream).reading);
    ports_.at(stream).reading = true;
  }
  void Close(StreamId stream, common::Status status) override {
    CHECK(!ports_.at(stream).closed);
    ports_.at(stream).closed = std::move(status);
  }
  void OnNack(StreamId, const cp::Nack& nack) override {
    nacks.push_back(fmt::format("{}: {}: {}", nack.service, nack.type_url, nack.message));
  }

  ManualClock clock;
  MemoryStore store;
  Hub hub;
  std::size_t steps = 0;           // of the hub by itself
  std::vector<std::string> nacks;  // "service: type: message"

 private:
  struct Port {
    Variant variant = Variant::kDelta;
    std::optional<Response> sent = {};
    bool reading = false;
    std::optional<common::Status> closed = {};
    std::set<std::string> nonces = {};
  };

  void CommitDeclaration(DeclarationChange change) {
    Group group;
    group.declarations.push_back(change);
    CHECK(store.Commit(group).ok());
    std::vector<std::string> datasets;
    if (change.kind == "Dataset") datasets.push_back(change.name);
    hub.OnCommitted(datasets, store.catalog());
  }

  static Got Take(Port& port) {
    Got got;
    got.pieces = port.sent->pieces;
    got.bytes = port.sent->bytes();
    std::string bytes;
    for (const SharedBytes& piece : got.pieces) bytes.append(*piece);
    port.sent.reset();
    const auto unpacked = common::Unpack(bytes);
    EXPECT_TRUE(unpacked.ok()) << unpacked.status();
    got.packed = *unpacked != nullptr;
    if (got.packed) bytes = **unpacked;
    common::DeltaResponseView view;
    const common::Status status = common::DecodeDeltaResponse(bytes, view);
    EXPECT_TRUE(status.ok()) << status;
    got.type = view.type_url;
    got.nonce = view.nonce;
    got.system_version = view.system_version;
    EXPECT_FALSE(got.nonce.empty());
    EXPECT_TRUE(port.nonces.insert(got.nonce).second) << "nonce used twice";
    EXPECT_EQ(view.control_plane, "tributary");
    for (const common::ResourceView& resource : view.resources) {
      EXPECT_EQ(resource.type_url, view.type_url);
      EXPECT_TRUE(resource.has_resource);
      const bool fresh = got.resources.emplace(resource.name, resource.version).second;
      EXPECT_TRUE(fresh) << resource.name << " twice in a response";
      got.payloads.emplace(resource.name, resource.payload);
    }
    for (const std::string_view name : view.removed) {
      EXPECT_TRUE(got.removed.emplace(name).second) << name << " removed twice";
      EXPECT_FALSE(got.resources.contains(std::string(name))) << name << " sent and removed";
    }
    for (const common::ResourceErrorView& error : view.errors) {
      got.errors.push_back({.name = std::string(error.name),
                            .code = error.code,
                            .message = std::string(error.message)});
    }
    return got;
  }

  std::map<StreamId, Port> ports_;
  StreamId last_stream_ = 0;
};

// --- requests -----------------------------------------------------------------------------------

inline common::NodeInfo Node(const std::string& service, bool cursors) {
  common::NodeInfo node;
  node.id = service;
  node.instance = "host-1";
  if (cursors) node.features.push_back("tributary.cursor.v1");
  return node;
}

using Names = std::vector<std::string>;
using Versions = std::vector<std::pair<std::string, std::string>>;

// The first request of a stream by a foreign client.
inline common::DeltaRequest First(std::string_view type, Names subscribe, Versions versions = {}) {
  common::DeltaRequest request;
  request.node = Node("reader", false);
  request.type_url = type;
  request.subscribe = std::move(subscribe);
  request.initial_versions = std::move(versions);
  return request;
}
// The same by an agent.
inline common::DeltaRequest AgentFirst(std::string_view type, Names subscribe,
                                       Versions versions = {}) {
  common::DeltaRequest request = First(type, std::move(subscribe), std::move(versions));
  request.node = Node("reader", true);
  return request;
}
inline common::DeltaRequest Sub(std::string_view type, Names subscribe, Names unsubscribe = {}) {
  common::DeltaRequest request;
  request.type_url = type;
  request.subscribe = std::move(subscribe);
  request.unsubscribe = std::move(unsubscribe);
  return request;
}
inline std::string Entry(const std::string& key, const std::string& dataset = "d") {
  return common::EntryName(dataset, key);
}
inline std::string Glob(const std::string& dataset = "d", const std::string& prefix = {}) {
  return common::CollectionName({.dataset = dataset, .prefix = prefix});
}

// Names of all resources of `responses`.
inline std::set<std::string> ResourceNames(const std::vector<Got>& responses) {
  std::set<std::string> names;
  for (const Got& got : responses) {
    for (const auto& [name, version] : got.resources) names.insert(name);
  }
  return names;
}
inline std::set<std::string> RemovedNames(const std::vector<Got>& responses) {
  std::set<std::string> names;
  for (const Got& got : responses) names.insert(got.removed.begin(), got.removed.end());
  return names;
}

}  // namespace cp
