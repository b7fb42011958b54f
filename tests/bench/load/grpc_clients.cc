#include "tests/bench/load/grpc_clients.h"

#include <grpcpp/support/slice.h>

#include <random>
#include <utility>

#include "common/delta_codec.h"
#include "common/names.h"
#include "common/status.h"
#include "common/wire.h"
#include "tests/bench/load/dataset.h"
#include "tests/bench/load/resp_socket.h"
#include "tests/bench/load/samples.h"

namespace bench {
namespace {

constexpr std::uint32_t kResources = 2;
constexpr std::uint32_t kTypeUrl = 4;
constexpr std::uint32_t kNonce = 5;
constexpr std::uint32_t kResourceName = 3;
constexpr std::uint32_t kResourceVersion = 1;
constexpr std::uint32_t kWatchEvents = 11;
constexpr std::uint32_t kWatchCreated = 3;

std::string PublisherId() { return fmt::format("bench-{:08x}", std::random_device{}()); }

// Is this the marker behind the last change of a cut?
bool IsCompleteMarker(std::string_view resource) {
  std::string_view name;
  std::string_view version;
  common::WireReader in(resource);
  while (in.Next()) {
    if (in.field() == kResourceName) name = in.bytes();
    if (in.field() == kResourceVersion) version = in.bytes();
  }
  return name.ends_with("/*") && version.starts_with("c1.");
}

}  // namespace

Stream::Stream(const std::string& address, const std::string& method, const std::string& service,
               OnMessage on_message)
    : on_message_(std::move(on_message)) {
  common::MutexLock lock(mutex_);  // the first message waits until the stream is known
  stream_ =
      common::ByteStream::Open(common::DialStream(address, grpc::InsecureChannelCredentials()),
                               method, {{"tributary-service", service}},
                               {.on_message =
                                    [this](const std::shared_ptr<const std::string>& bytes) {
                                      on_message_(*bytes);
                                      common::MutexLock held(mutex_);
                                      stream_->ReadNext();
                                    },
                                .on_closed =
                                    [this, method](const common::Status& why) {
                                      if (!ending_)
                                        Die(fmt::format("{} ended: {}", method, why.ToString()));
                                    }});
}

void Stream::Write(std::string message) {
  common::MutexLock lock(mutex_);
  stream_->Write(std::move(message));
}

PublishClient::PublishClient(const std::string& address, const std::string& service, Wake& wake)
    : wake_(wake),
      stream_(address, "/tributary.v1.Publisher/Publish", service,
              [this](std::string_view bytes) { OnMessage(bytes); }) {
  tributary::v1::PublishRequest greeting;
  greeting.set_publisher_id(PublisherId());
  stream_.Write(greeting.SerializeAsString());
  while (!greeted_.load()) wake_.Wait(kWaitMs);
}

void PublishClient::Publish(std::uint64_t first, std::size_t count, std::uint64_t keys,
                            std::size_t value_bytes, std::uint64_t round) {
  tributary::v1::PublishRequest request;
  request.set_settled(durable_);  // as agents do
  auto* const batch = request.add_batches();
  batch->set_sequence(++sent_);
  for (std::size_t i = 0; i < count; ++i) {
    auto* const write = batch->add_writes();
    write->set_dataset(kDataset);
    write->set_key(KeyOf((first + i) % keys));
    write->set_put(ValueOf((first + i) % keys, value_bytes, round));
  }
  stream_.Write(request.SerializeAsString());
}

void PublishClient::OnMessage(std::string_view bytes) {
  tributary::v1::PublishResponse response;
  const std::int64_t now = NowNs();
  if (!response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) Die("bad outcome");
  greeted_ = true;
  for (const auto& result : response.results()) {
    if (result.code() != 0) Die("publish refused: " + result.message());
    durable_at_ = now;
    ++durable_;
  }
  wake_.Set();
}

CountingSubscriber::CountingSubscriber(const std::string& address, const std::string& service,
                                       int serial, Wake& wake)
    : wake_(wake),
      stream_(address,
              "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
              service, [this](std::string_view bytes) { OnMessage(bytes); }) {
  common::DeltaRequest request;
  request.node = common::NodeInfo{.id = service,
                                  .cluster = service,
                                  .user_agent = "bench",
                                  .instance = std::to_string(serial),
                                  .features = {"tributary.cursor.v1"}};
  request.type_url = common::kEntryType;
  request.subscribe = {common::CollectionName({.dataset = kDataset, .prefix = ""})};
  stream_.Write(common::EncodeDeltaRequest(request));
}

void CountingSubscriber::OnMessage(std::string_view bytes) {
  const std::int64_t now = NowNs();
  std::uint64_t resources = 0;
  std::string_view last;
  common::DeltaRequest ack;
  common::WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == kResources) {
      last = in.bytes();
      ++resources;
    }
    if (in.field() == kTypeUrl) ack.type_url = in.bytes();
    if (in.field() == kNonce) ack.nonce = in.bytes();
  }
  const bool complete = IsCompleteMarker(last);
  stream_.Write(common::EncodeDeltaRequest(ack));
  entries_ += resources - (complete ? 1 : 0);
  bytes_ += bytes.size();
  ++responses_;
  last_at_ = now;
  if (complete) synced_ = true;
  wake_.Set();
}

EtcdWatcher::EtcdWatcher(const std::string& address, Wake& wake)
    : wake_(wake),
      stream_(address, "/etcdserverpb.Watch/Watch", "bench",
              [this](std::string_view bytes) { OnMessage(bytes); }) {
  std::string create;
  common::AppendBytesField(1, "key:", create);
  common::AppendBytesField(2, "key;", create);  // behind all that begin with "key:"
  std::string request;
  common::AppendBytesField(1, create, request);
  stream_.Write(std::move(request));
  while (!created_.load()) wake_.Wait(kWaitMs);
}

void EtcdWatcher::OnMessage(std::string_view bytes) {
  const std::int64_t now = NowNs();
  std::uint64_t events = 0;
  common::WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == kWatchEvents) ++events;
    if (in.field() == kWatchCreated && in.varint() != 0) created_ = true;
  }
  if (events > 0) last_at_ = now;
  entries_ += events;
  wake_.Set();
}

std::string EtcdPut(std::uint64_t key, std::size_t value_bytes, std::uint64_t round) {
  std::string put;
  common::AppendBytesField(1, KeyOf(key), put);
  common::AppendBytesField(2, ValueOf(key, value_bytes, round), put);
  return put;
}

std::string EtcdTxn(std::uint64_t first, std::size_t count, std::uint64_t keys,
                    std::size_t value_bytes, std::uint64_t round) {
  std::string txn;
  for (std::size_t i = 0; i < count; ++i) {
    std::string operation;
    common::AppendBytesField(2, EtcdPut((first + i) % keys, value_bytes, round), operation);
    common::AppendBytesField(2, operation, txn);
  }
  return txn;
}

UnaryClient::UnaryClient(const std::string& address)
    : channel_(common::DialStream(address, grpc::InsecureChannelCredentials())), stub_(channel_) {}

void UnaryClient::Call(const std::string& method, const std::string& request,
                       std::function<void()> done) {
  struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer request, response;
  };
  auto call = std::make_shared<Call>();
  const grpc::Slice slice(request);
  call->request = grpc::ByteBuffer(&slice, 1);
  call->context.set_wait_for_ready(true);
  stub_.UnaryCall(&call->context, method, {}, &call->request, &call->response,
                  [call, method, then = std::move(done)](const grpc::Status& status) {
                    if (!status.ok()) Die(method + ": " + status.error_message());
                    then();
                  });
}

}  // namespace bench
