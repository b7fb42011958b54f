#include "control-plane/publish/publish_service.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <thread>

#include "common/limits.h"
#include "control-plane/store/lmdb_store.h"

namespace cp {
namespace {

using common::StatusCode;
using testing::HasSubstr;
using tributary::v1::PublishRequest;
using tributary::v1::PublishResponse;
using tributary::v1::Result;

class NoListener final : public CommitListener {
 public:
  void OnCommitted(const std::vector<std::string>&, CatalogPtr) override {}
};

PublishRequest Hello(const std::string& publisher_id) {
  PublishRequest request;
  request.set_publisher_id(publisher_id);
  return request;
}

PublishRequest Put(std::uint64_t sequence, const std::string& key, const std::string& value,
                   const std::string& dataset = "orders") {
  PublishRequest request;
  tributary::v1::Batch& batch = *request.add_batches();
  batch.set_sequence(sequence);
  tributary::v1::Write& write = *batch.add_writes();
  write.set_dataset(dataset);
  write.set_key(key);
  write.set_put(value);
  return request;
}

class PublishServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "publish_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    auto store = LmdbStore::Open({.dir = dir_, .map_bytes = 256 * common::kMiB, .sync = false});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    committer_.emplace(CommitterOptions{}, clock_, *store_, listener_);
    Declare({.name = "orders", .owner = "shop", .consumers = {}, .max_value_bytes = 1000});
    Declare({.name = "bills", .owner = "billing", .consumers = {}});
    service_.emplace(common::Trust::kMetadata, *committer_, *store_, clock_, log_, metrics_);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + dir_ + "/s", grpc::InsecureServerCredentials());
    builder.RegisterService(&*service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    channel_ = grpc::CreateChannel("unix:" + dir_ + "/s", grpc::InsecureChannelCredentials());
    stub_ = tributary::v1::Publisher::NewStub(channel_);
  }
  void TearDown() override {
    server_->Shutdown(std::chrono::system_clock::now());
    committer_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Declare(const common::Dataset& dataset) {
    std::promise<common::Status> declared;
    ASSERT_TRUE(committer_->Submit(
        DeclareJob{.changes = {{.kind = "Dataset", .name = dataset.name, .object = dataset}},
                   .done = [&](const auto& outcome) { declared.set_value(outcome.status()); }}));
    ASSERT_TRUE(declared.get_future().get().ok());
  }

  // The value in the store; "" when absent.
  std::string ValueOf(const std::string& dataset, const std::string& key) {
    auto view = store_->OpenView();
    const auto state = (*view)->Dataset(dataset);
    const auto stored = (*view)->Get((**state).id, key);
    if (!*stored) return "";
    return std::string(common::EntryOfResource((**stored).resource).value);
  }

  common::SystemClock clock_;
  common::Log log_{common::LogLevel::kInfo, common::LogFormat::kText, [](std::string_view) {}};
  common::Metrics metrics_;
  NoListener listener_;
  std::string dir_;
  std::unique_ptr<LmdbStore> store_;
  std::optional<Committer> committer_;
  std::optional<PublishService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<tributary::v1::Publisher::Stub> stub_;
};

// A publisher's end of a stream.
class Client {
 public:
  Client(tributary::v1::Publisher::Stub& stub, const std::string& service) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!service.empty()) context_.AddMetadata(common::kServiceMetadataKey, service);
    stream_ = stub.Publish(&context_);
  }
  void Send(const PublishRequest& request) { stream_->Write(request); }
  // The next answer; the first one of a stream is the greeting alone when nothing came with it.
  PublishResponse Receive() {
    PublishResponse response;
    if (!stream_->Read(&response)) ADD_FAILURE() << "the stream has ended";
    return response;
  }
  // The next `count` results.
  std::vector<Result> Results(std::size_t count) {
    std::vector<Result> results;
    while (results.size() < count) {
      PublishResponse response;
      if (!stream_->Read(&response)) break;
      results.insert(results.end(), response.results().begin(), response.results().end());
    }
    EXPECT_EQ(results.size(), count);
    results.resize(count);
    return results;
  }
  common::Status Close() {
    stream_->WritesDone();
    return End();
  }
  // Reads what is left, then how the stream ended.
  common::Status End() {
    PublishResponse response;
    while (stream_->Read(&response)) {
    }
    const grpc::Status status = stream_->Finish();
    return {static_cast<StatusCode>(status.error_code()), status.error_message()};
  }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<PublishRequest, PublishResponse>> stream_;
};

TEST_F(PublishServiceTest, BatchesAreAnsweredInOrderAndDurable) {
  Client client(*stub_, "shop");
  client.Send(Hello("p"));
  const PublishResponse greeting = client.Receive();
  EXPECT_EQ(greeting.epoch(), common::FormatEpoch(store_->epoch()));
  EXPECT_EQ(greeting.last_sequence(), 0u);
  constexpr std::uint64_t kBatches = 1000;  // far more than the window, answers unread
  for (std::uint64_t i = 1; i <= kBatches; ++i) client.Send(Put(i, fmt::format("k{}", i), "v"));
  std::uint64_t revision = 0;
  std::uint64_t sequence = 0;
  for (const Result& result : client.Results(kBatches)) {
    EXPECT_EQ(result.sequence(), ++sequence);
    EXPECT_EQ(result.code(), 0) << result.message();
    EXPECT_GT(result.revision(), revision);
    revision = result.revision();
  }
  EXPECT_TRUE(client.Close().ok());
  EXPECT_EQ(ValueOf("orders", "k1"), "v");
  EXPECT_EQ(ValueOf("orders", fmt::format("k{}", kBatches)), "v");
  EXPECT_THAT(metrics_.Text(), HasSubstr("publish_results_total{code=\"OK\"} 1000"));
}

TEST_F(PublishServiceTest, ARetryAfterALostAnswerIsAppliedOnce) {
  {
    Client client(*stub_, "shop");
    PublishRequest request = Put(1, "k", "first");
    request.set_publisher_id("p");
    client.Send(request);
    while (ValueOf("orders", "k").empty()) std::this_thread::yield();
    client.Cancel();  // the answer is lost
  }
  Client client(*stub_, "shop");
  client.Send(Hello("p"));
  EXPECT_EQ(client.Receive().last_sequence(), 1u);
  client.Send(Put(1, "k", "second"));
  client.Send(Put(2, "l", "third"));
  const std::vector<Result> results = client.Results(2);
  EXPECT_EQ(results[0].code(), 0);
  EXPECT_EQ(results[1].revision(), results[0].revision() + 1);
  EXPECT_EQ(ValueOf("orders", "k"), "first");
  EXPECT_EQ(ValueOf("orders", "l"), "third");
  EXPECT_TRUE(client.Close().ok());
}

TEST_F(PublishServiceTest, RefusedBatchesDoNotEndTheStream) {
  Client client(*stub_, "shop");
  client.Send(Hello("p"));
  client.Receive();
  client.Send(Put(1, "k", "v", "bills"));
  client.Send(Put(2, "k", "v", "absent"));
  client.Send(Put(3, "k", std::string(1001, 'x')));
  client.Send(Put(4, std::string(401, 'k'), "v"));
  client.Send(Put(5, "k", "v", "Bad Name"));
  client.Send(Put(6, "k", "good"));
  std::vector<int> codes;
  for (const Result& result : client.Results(6)) codes.push_back(result.code());
  EXPECT_THAT(codes, testing::ElementsAre(7, 5, 11, 11, 3, 0));
  EXPECT_TRUE(client.Close().ok());
  EXPECT_EQ(ValueOf("orders", "k"), "good");
  EXPECT_EQ(ValueOf("bills", "k"), "");
}

TEST_F(PublishServiceTest, AMalformedRequestEndsOnlyItsStream) {
  Client good(*stub_, "shop");
  good.Send(Hello("good"));
  good.Receive();
  Client bad(*stub_, "shop");
  bad.Send(Put(1, "k", "v"));  // no publisher id
  const common::Status status = bad.End();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(common::Message(status)), HasSubstr("publisher_id"));
  good.Send(Put(1, "k", "v"));
  EXPECT_EQ(good.Results(1)[0].code(), 0);
  EXPECT_TRUE(good.Close().ok());
}

// What was sent before the fault is still answered.
TEST_F(PublishServiceTest, AnswersComeBeforeTheEnd) {
  Client client(*stub_, "shop");
  client.Send(Hello("p"));
  client.Receive();
  client.Send(Put(1, "k", "v"));
  client.Send(Put(1, "k", "v"));
  EXPECT_EQ(client.Results(1)[0].code(), 0);
  EXPECT_EQ(client.End().code(), StatusCode::kInvalidArgument);
}

TEST_F(PublishServiceTest, BytesThatAreNoMessageAreNamed) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  context.AddMetadata(common::kServiceMetadataKey, "shop");
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel_);
  const auto stream = stub.PrepareCall(&context, "/tributary.v1.Publisher/Publish", &queue);
  const auto wait = [&] {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
  };
  stream->StartCall(nullptr);
  wait();
  const grpc::Slice slice("\xff\xff\xff\xff");
  stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  wait();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  wait();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("PublishRequest"));
}

TEST_F(PublishServiceTest, WhoeverIsNobodyIsRefused) {
  Client client(*stub_, "");
  EXPECT_EQ(client.End().code(), StatusCode::kUnauthenticated);
}

TEST_F(PublishServiceTest, DrainAnswersThenSaysUnavailable) {
  Client client(*stub_, "shop");
  client.Send(Hello("p"));
  client.Receive();
  client.Send(Put(1, "k", "v"));
  EXPECT_EQ(client.Results(1)[0].code(), 0);
  service_->Drain();
  EXPECT_EQ(client.End().code(), StatusCode::kUnavailable);
  Client late(*stub_, "shop");
  EXPECT_EQ(late.End().code(), StatusCode::kUnavailable);
}

TEST_F(PublishServiceTest, ManyPublishersAtOnce) {
  constexpr int kPublishers = 8;
  constexpr std::uint64_t kBatches = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kPublishers; ++i) {
    threads.emplace_back([this, i] {
      Client client(*stub_, "shop");
      client.Send(Hello(fmt::format("p{}", i)));
      client.Receive();
      for (std::uint64_t at = 1; at <= kBatches; ++at) {
        client.Send(Put(at, fmt::format("k{}.{}", i, at), "v"));
        if (at % 16 != 0) continue;
        for (const Result& result : client.Results(16)) EXPECT_EQ(result.code(), 0);
      }
      for (const Result& result : client.Results(kBatches % 16)) EXPECT_EQ(result.code(), 0);
      EXPECT_TRUE(client.Close().ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  auto view = store_->OpenView();
  EXPECT_EQ((**(*view)->Dataset("orders")).entries, kPublishers * kBatches);
}

}  // namespace
}  // namespace cp
