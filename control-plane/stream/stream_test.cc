// Delta xDS over gRPC: real server, store and threads; a client that speaks the raw protocol.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "common/names.h"
#include "control-plane/store/committer.h"
#include "control-plane/store/lmdb_store.h"
#include "control-plane/stream/discovery_service.h"
#include "control-plane/stream/hub_thread.h"

namespace cp {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kDeadline{60};

class TempDir {
 public:
  TempDir() {
    std::string pattern =
        (std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path())
            .string() +
        "/tributary-stream-XXXXXX";
    CHECK(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

// One delta stream of a client that uses the generated messages.
class Client {
 public:
  Client(const std::shared_ptr<grpc::Channel>& channel, bool agent)
      : stub_(AggregatedDiscoveryService::NewStub(channel)), agent_(agent) {
    context_.set_deadline(std::chrono::system_clock::now() + kDeadline);
    stream_ = stub_->DeltaAggregatedResources(&context_);
  }
  ~Client() { context_.TryCancel(); }

  DeltaDiscoveryRequest First(std::string_view type, const std::vector<std::string>& names) {
    DeltaDiscoveryRequest request = Later(type, names);
    request.mutable_node()->set_id("reader");
    if (agent_) request.mutable_node()->add_client_features("tributary.cursor.v1");
    return request;
  }
  static DeltaDiscoveryRequest Later(std::string_view type, const std::vector<std::string>& names) {
    DeltaDiscoveryRequest request;
    request.set_type_url(std::string(type));
    for (const std::string& name : names) request.add_resource_names_subscribe(name);
    return request;
  }
  bool Send(const DeltaDiscoveryRequest& request) { return stream_->Write(request); }
  // The next response, acknowledged; false: the stream has ended.
  bool Read(DeltaDiscoveryResponse& response) {
    if (!stream_->Read(&response)) return false;
    DeltaDiscoveryRequest ack = Later(response.type_url(), {});
    ack.set_response_nonce(response.nonce());
    return Send(ack);
  }
  // Reads until a response holds `name`; its version. Empty: the stream has ended.
  std::string ReadUntil(const std::string& name) {
    DeltaDiscoveryResponse response;
    while (Read(response)) {
      for (const auto& resource : response.resources()) {
        ++resources;
        if (resource.name() == name) return resource.version();
      }
    }
    return {};
  }
  void CloseWrites() { stream_->WritesDone(); }
  grpc::Status Finish() {
    DeltaDiscoveryResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }
  void Cancel() { context_.TryCancel(); }

  std::size_t resources = 0;  // seen by ReadUntil

 private:
  std::unique_ptr<AggregatedDiscoveryService::Stub> stub_;
  const bool agent_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<DeltaDiscoveryRequest, DeltaDiscoveryResponse>> stream_;
};

class StreamTest : public ::testing::Test {
 protected:
  void Start(std::size_t streams_max = 100, common::Trust trust = common::Trust::kMetadata) {
    auto store = LmdbStore::Open({.dir = dir_.path + "/store", .sync = false});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    hub_ =
        std::make_unique<HubThread>(HubOptions{.streams_max = streams_max}, clock_, *store_, log_);
    committer_ = std::make_unique<Committer>(CommitterOptions{}, clock_, *store_, *hub_);
    options_.trust = trust;
    options_.streams_max = streams_max;
    service_ = std::make_unique<DiscoveryService>(options_, clock_, *hub_, metrics_);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(static_cast<int>(common::kRequestBytesMax));
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void TearDown() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    server_.reset();
    committer_.reset();
    hub_.reset();
  }

  std::shared_ptr<grpc::Channel> Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  }
  void Declare(common::Declaration object) {
    const std::string kind(common::KindOf(object));
    const std::string name = common::NameOf(object);
    std::promise<common::Status> done;
    DeclareJob job;
    job.changes.push_back({.kind = kind, .name = name, .object = std::move(object)});
    job.done = [&done](auto outcome) { done.set_value(outcome.status()); };
    ASSERT_TRUE(committer_->Submit(std::move(job)));
    const common::Status status = done.get_future().get();
    ASSERT_TRUE(status.ok()) << status;
  }
  void DeclareDataset(const std::string& name) {
    Declare(common::Dataset{.name = name, .owner = "owner", .consumers = {"*"}});
  }
  Revision Publish(std::vector<Write> writes) {
    std::promise<Outcome> done;
    PublishJob job;
    job.service = "owner";
    job.publisher_id = "test";
    job.batches.push_back(
        {.publisher_id = "test", .sequence = ++sequence_, .writes = std::move(writes)});
    job.done = [&done](std::vector<Outcome> outcomes) { done.set_value(outcomes.at(0)); };
    CHECK(committer_->Submit(std::move(job)));
    const Outcome outcome = done.get_future().get();
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    return outcome.revision;
  }
  std::string Complete(Revision revision) {
    return common::FormatMarker({.kind = common::Marker::Kind::kComplete,
                                 .at = {.epoch = store_->epoch(), .revision = revision}});
  }
  void AwaitStreams(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (hub_->Figures().streams != count) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }

  TempDir dir_;
  const std::string address_ = "unix:" + dir_.path + "/grpc.sock";
  common::SystemClock clock_;
  common::Log log_{common::LogLevel::kError, common::LogFormat::kText};
  common::Metrics metrics_;
  DiscoveryOptions options_;
  std::unique_ptr<LmdbStore> store_;
  std::unique_ptr<HubThread> hub_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<DiscoveryService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::uint64_t sequence_ = 0;
};

const std::string kGlob = common::CollectionName({.dataset = "d", .prefix = {}});

TEST_F(StreamTest, AgentIsServedAllThreeTypes) {
  Start();
  DeclareDataset("d");
  common::Subscription subscription;
  subscription.name = "s";
  subscription.service = "reader";
  subscription.collection = {.dataset = "d", .prefix = {}};
  Declare(subscription);
  const Revision first = Publish({{.dataset = "d", .key = "a", .value = "1"}});

  Client agent(Connect(), /*agent=*/true);
  ASSERT_TRUE(agent.Send(
      agent.First(common::kSubscriptionType, {common::SubscriptionName("reader", "*")})));
  EXPECT_NE(agent.ReadUntil(common::SubscriptionName("reader", "s")), "");
  const std::string state = common::DatasetStateName("d");
  ASSERT_TRUE(agent.Send(agent.Later(common::kDatasetStateType, {state})));
  EXPECT_EQ(agent.ReadUntil(state), common::FormatVersion({store_->epoch(), first}));
  ASSERT_TRUE(agent.Send(agent.Later(common::kEntryType, {kGlob})));
  EXPECT_EQ(agent.ReadUntil(kGlob), common::FormatMarker({.kind = common::Marker::Kind::kBegin,
                                                          .at = {store_->epoch(), first}}));
  EXPECT_EQ(agent.ReadUntil(common::EntryName("d", "a")),
            common::FormatVersion({store_->epoch(), first}));
  EXPECT_EQ(agent.ReadUntil(kGlob), Complete(first));

  const Revision second = Publish({{.dataset = "d", .key = "b", .value = "1"}});
  EXPECT_EQ(agent.ReadUntil(kGlob), Complete(second));
  const HubStatus status = hub_->Status();
  ASSERT_EQ(status.copies.size(), 1u);
  EXPECT_EQ(status.copies[0].service, "reader");
  EXPECT_EQ(status.copies[0].head, second);
}

TEST_F(StreamTest, BulkAndManyCommitsArriveCompletely) {
  Start();
  DeclareDataset("d");
  std::vector<Write> writes;
  for (int i = 0; i < 20'000; ++i) {
    writes.push_back({.dataset = "d", .key = std::to_string(i), .value = std::string(200, 'x')});
  }
  const Revision loaded = Publish(std::move(writes));
  Client agent(Connect(), /*agent=*/true);
  ASSERT_TRUE(agent.Send(agent.First(common::kEntryType, {kGlob})));
  agent.ReadUntil(kGlob);
  EXPECT_EQ(agent.ReadUntil(kGlob), Complete(loaded));
  EXPECT_EQ(agent.resources, 20'002u);
  Revision last = 0;
  for (int i = 0; i < 500; ++i) last = Publish({{.dataset = "d", .key = "hot", .value = "v"}});
  std::string version;
  do {
    version = agent.ReadUntil(kGlob);
  } while (!version.empty() && version != Complete(last));
  EXPECT_EQ(version, Complete(last));
}

TEST_F(StreamTest, BadStreamsEndWithAReasonAndHurtNobodyElse) {
  Start();
  DeclareDataset("d");
  Client good(Connect(), /*agent=*/true);
  ASSERT_TRUE(good.Send(good.First(common::kEntryType, {kGlob})));
  ASSERT_NE(good.ReadUntil(kGlob), "");

  Client anonymous(Connect(), false);
  anonymous.Send(Client::Later(common::kEntryType, {kGlob}));
  grpc::Status status = anonymous.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("node.id"));

  Client untyped(Connect(), false);
  untyped.Send(untyped.First("", {}));
  status = untyped.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("type_url"));

  AwaitStreams(1);
  const Revision head = Publish({{.dataset = "d", .key = "a", .value = "1"}});
  std::string version;
  do {
    version = good.ReadUntil(kGlob);
  } while (!version.empty() && version != Complete(head));
  EXPECT_EQ(version, Complete(head));
}

TEST_F(StreamTest, GarbageIsRefusedByName) {
  Start();
  grpc::GenericStub stub(Connect());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    CHECK(queue.Next(&tag, &ok));
    return ok;
  };
  auto call = stub.PrepareCall(
      &context, "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(next());
  const grpc::Slice slice("\x0A\xFF garbage");
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  ASSERT_TRUE(next());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(next());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("malformed"));
}

TEST_F(StreamTest, FiveMebibytesOfInitialVersionsAreAccepted) {
  Start();
  DeclareDataset("d");
  Publish({{.dataset = "d", .key = "a", .value = "1"}});
  Client client(Connect(), /*agent=*/false);
  DeltaDiscoveryRequest request = client.First(common::kEntryType, {kGlob});
  for (int i = 0; i < 80'000; ++i) {
    (*request.mutable_initial_resource_versions())[common::EntryName(
        "d", "gone" + std::to_string(i))] = "0000000000aa.123456789";
  }
  ASSERT_GT(request.ByteSizeLong(), 4u * 1024 * 1024);
  ASSERT_TRUE(client.Send(request));
  std::size_t removed = 0;
  bool loaded = false;
  DeltaDiscoveryResponse response;
  while ((removed < 80'000 || !loaded) && client.Read(response)) {
    removed += static_cast<std::size_t>(response.removed_resources_size());
    loaded |= response.resources_size() > 0;
  }
  EXPECT_EQ(removed, 80'000u);
  EXPECT_TRUE(loaded);
}

TEST_F(StreamTest, HalfCloseAndCancelFreeTheStream) {
  Start();
  DeclareDataset("d");
  Client polite(Connect(), true);
  ASSERT_TRUE(polite.Send(polite.First(common::kEntryType, {kGlob})));
  ASSERT_NE(polite.ReadUntil(kGlob), "");
  polite.CloseWrites();
  EXPECT_TRUE(polite.Finish().ok());
  Client rude(Connect(), true);
  ASSERT_TRUE(rude.Send(rude.First(common::kEntryType, {kGlob})));
  ASSERT_NE(rude.ReadUntil(kGlob), "");
  rude.Cancel();
  AwaitStreams(0);
}

TEST_F(StreamTest, TooManyStreamsAndDrainSayUnavailable) {
  Start(/*streams_max=*/1);
  DeclareDataset("d");
  Client first(Connect(), true);
  ASSERT_TRUE(first.Send(first.First(common::kEntryType, {kGlob})));
  ASSERT_NE(first.ReadUntil(kGlob), "");
  EXPECT_EQ(Client(Connect(), true).Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  hub_->Drain();
  EXPECT_EQ(first.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  AwaitStreams(0);
}

TEST_F(StreamTest, WithTlsTrustAStreamWithoutIdentityIsRefused) {
  Start(100, common::Trust::kCertificates);
  EXPECT_EQ(Client(Connect(), true).Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(StreamTest, StateOfTheWorldCarriesTheWholeDatasetEachTime) {
  Start();
  DeclareDataset("d");
  Publish({{.dataset = "d", .key = "a", .value = "1"}});
  const auto stub = AggregatedDiscoveryService::NewStub(Connect());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  const auto stream = stub->StreamAggregatedResources(&context);
  DiscoveryRequest request;
  request.mutable_node()->set_id("reader");
  request.set_type_url(std::string(common::kEntryType));
  ASSERT_TRUE(stream->Write(request));
  DiscoveryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.resources_size(), 1);
  EXPECT_EQ(response.control_plane().identifier(), "tributary");
  Publish({{.dataset = "d", .key = "b", .value = "1"}});
  while (response.resources_size() < 2) ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.resources(0).type_url(), common::kEntryType);
  context.TryCancel();
}

}  // namespace
}  // namespace cp
