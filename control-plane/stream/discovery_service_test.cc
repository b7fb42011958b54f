// Which new streams are taken, what the others are told, and how all are counted.
#include "control-plane/stream/discovery_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using ::testing::HasSubstr;

class DiscoveryServiceTest : public ::testing::Test {
 protected:
  void Start(DiscoveryOptions options) {
    options.trust = common::Trust::kMetadata;
    service_ = std::make_unique<DiscoveryService>(options, clock_, hub_, metrics_);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    stub_ = AggregatedDiscoveryService::NewStub(
        grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    hub_.Drain();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }

  // A delta stream that is closed as soon as it is open.
  grpc::Status OpenAndClose() {
    grpc::ClientContext context;
    const auto stream = stub_->DeltaAggregatedResources(&context);
    stream->WritesDone();
    DeltaDiscoveryResponse ignored;
    while (stream->Read(&ignored)) continue;
    return stream->Finish();
  }
  // "admitted 1, rate 0, full 0, draining 0"
  std::string Admissions() const {
    std::string all;
    for (const char* result : {"admitted", "rate", "full", "draining"}) {
      const std::string name =
          fmt::format("tributary_control_plane_stream_admissions_total{{result=\"{}\"}} ", result);
      const std::string text = metrics_.Text();
      const std::size_t at = text.find(name);
      if (at == std::string::npos) return text;
      const std::string number = text.substr(at + name.size());
      all += fmt::format("{}{} {}", all.empty() ? "" : ", ", result,
                         number.substr(0, number.find('\n')));
    }
    return all;
  }

  testing::TestDir dir_;
  const std::string address_ = "unix:" + dir_.path() + "/grpc.sock";
  common::SystemClock clock_;
  common::Log log_{common::LogLevel::kError, common::LogFormat::kText};
  common::Metrics metrics_;
  std::unique_ptr<LmdbStore> store_ = testing::OpenStore(dir_.path() + "/store");
  HubThread hub_{HubOptions{}, clock_, *store_, log_};
  std::unique_ptr<DiscoveryService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<AggregatedDiscoveryService::Stub> stub_;
};

TEST_F(DiscoveryServiceTest, NewStreamsAreAdmittedAtARate) {
  Start({.streams_per_second = 1});
  std::size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    const grpc::Status status = OpenAndClose();
    if (status.ok()) continue;
    ++refused;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(status.error_message(), HasSubstr("try again"));
  }
  EXPECT_GT(refused, 0u);
  EXPECT_LT(refused, 20u);
  service_->StopAccepting();
  EXPECT_THAT(OpenAndClose().error_message(), HasSubstr("shutting down"));
  EXPECT_EQ(Admissions(),
            fmt::format("admitted {}, rate {}, full 0, draining 1", 20 - refused, refused));
}

TEST_F(DiscoveryServiceTest, OneStreamTooManyIsToldToGoElsewhere) {
  Start({.streams_max = 1});
  EXPECT_EQ(Admissions(), "admitted 0, rate 0, full 0, draining 0")
      << "all are there from the start";
  grpc::ClientContext context;
  const auto first = stub_->DeltaAggregatedResources(&context);
  DeltaDiscoveryRequest request;
  request.mutable_node()->set_id("reader");
  request.set_type_url(std::string(common::kDatasetStateType));
  request.add_resource_names_subscribe("xdstp:///tributary.v1.DatasetState/none");
  ASSERT_TRUE(first->Write(request));
  DeltaDiscoveryResponse response;
  ASSERT_TRUE(first->Read(&response)) << "it is open for sure";
  const grpc::Status second = OpenAndClose();
  EXPECT_EQ(second.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(second.error_message(), HasSubstr("1 streams are open"));
  EXPECT_EQ(Admissions(), "admitted 1, rate 0, full 1, draining 0");
  context.TryCancel();
}

}  // namespace
}  // namespace cp
