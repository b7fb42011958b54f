// The Admin and Reader services over a real gRPC channel and a real store.
#include "control-plane/admin/admin_service.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "control-plane/admin/admin_pages.h"
#include "control-plane/admin/reader_service.h"
#include "control-plane/store/lmdb_store.h"

namespace cp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kOrders =
    R"({"apiVersion":"tributary.dev/v1alpha1","kind":"Dataset","metadata":{"name":"orders"},)"
    R"("spec":{"owner":"checkout","consumers":["billing"]}})";

class Ignore final : public CommitListener {
  void OnCommitted(const std::vector<std::string>&, CatalogPtr) override {}
};

class AdminServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/admin_service_test." + std::to_string(getpid());
    std::filesystem::remove_all(dir_);
    auto store = LmdbStore::Open({.dir = dir_, .map_bytes = 1 << 30, .sync = false});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    committer_ = std::make_unique<Committer>(CommitterOptions{}, clock_, *store_, listener_);
    admin_ = std::make_unique<AdminService>(
        common::Trust::kMetadata, AdminRights(/*enforce=*/true, {"ops"}), clock_, *store_,
        *committer_, [this](std::function<void(HubStatus)> done) { done(hub_); });
    reader_ = std::make_unique<ReaderService>(common::Trust::kMetadata, *store_, clock_);
    const std::string address = "unix:" + dir_ + "/grpc.sock";
    server_ = grpc::ServerBuilder()
                  .AddListeningPort(address, grpc::InsecureServerCredentials())
                  .RegisterService(admin_.get())
                  .RegisterService(reader_.get())
                  .BuildAndStart();
    ASSERT_NE(server_, nullptr);
    auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    admin_stub_ = tributary::v1::Admin::NewStub(channel);
    reader_stub_ = tributary::v1::Reader::NewStub(channel);
  }

  void TearDown() override {
    server_->Shutdown();
    committer_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }

  static void SetCaller(grpc::ClientContext& context, const std::string& service) {
    if (!service.empty()) context.AddMetadata("tributary-service", service);
  }

  grpc::Status Apply(const std::string& caller, std::vector<std::string> objects,
                     tributary::v1::ApplyResponse* response = nullptr) {
    tributary::v1::ApplyRequest request;
    request.mutable_objects()->Assign(objects.begin(), objects.end());
    tributary::v1::ApplyResponse ignored;
    grpc::ClientContext context;
    SetCaller(context, caller);
    return admin_stub_->Apply(&context, request, response != nullptr ? response : &ignored);
  }

  void Publish(const std::string& key, std::optional<std::string> value) {
    std::promise<std::vector<Outcome>> outcomes;
    Batch batch{.publisher_id = "p",
                .sequence = ++sequence_,
                .writes = {{"orders", key, std::move(value)}}};
    ASSERT_TRUE(
        committer_->Submit(PublishJob{.service = "checkout",
                                      .publisher_id = "p",
                                      .batches = {std::move(batch)},
                                      .done = [&](auto done) { outcomes.set_value(done); }}));
    const std::vector<Outcome> decided = outcomes.get_future().get();
    ASSERT_TRUE(decided.at(0).status.ok()) << decided.at(0).status;
  }

  grpc::Status Get(const std::string& caller, std::vector<std::string> keys,
                   tributary::v1::GetResponse& response) {
    tributary::v1::GetRequest request;
    request.set_dataset("orders");
    request.mutable_keys()->Assign(keys.begin(), keys.end());
    grpc::ClientContext context;
    SetCaller(context, caller);
    return reader_stub_->Get(&context, request, &response);
  }

  common::SystemClock clock_;
  Ignore listener_;
  HubStatus hub_;
  std::string dir_;
  std::uint64_t sequence_ = 0;
  std::unique_ptr<LmdbStore> store_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<AdminService> admin_;
  std::unique_ptr<ReaderService> reader_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<tributary::v1::Admin::Stub> admin_stub_;
  std::unique_ptr<tributary::v1::Reader::Stub> reader_stub_;
};

TEST_F(AdminServiceTest, AppliesAllOrNothing) {
  tributary::v1::ApplyResponse response;
  ASSERT_TRUE(Apply("checkout", {kOrders}, &response).ok());
  EXPECT_THAT(response.outcomes(), ElementsAre("created"));
  ASSERT_TRUE(Apply("checkout", {kOrders}, &response).ok());
  EXPECT_THAT(response.outcomes(), ElementsAre("unchanged"));

  const std::string mine =
      R"({"apiVersion":"tributary.dev/v1alpha1","kind":"Dataset","metadata":{"name":"mine"},)"
      R"("spec":{"owner":"checkout","consumers":["*"]}})";
  const std::string bad =
      R"({"apiVersion":"tributary.dev/v1alpha1","kind":"Dataset","metadata":{"name":"x"},)"
      R"("spec":{}})";
  const grpc::Status refused = Apply("checkout", {mine, bad});
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("object 2"));
  EXPECT_EQ(store_->catalog()->FindDataset("mine"), nullptr);
}

TEST_F(AdminServiceTest, EnforcesWhoMayDeclare) {
  EXPECT_EQ(Apply("billing", {kOrders}).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Apply("", {kOrders}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Apply("ops", {kOrders}).ok());
}

TEST_F(AdminServiceTest, ListsDescribesAndDeletes) {
  ASSERT_TRUE(Apply("checkout", {kOrders}).ok());
  Publish("a", "1");
  tributary::v1::ListRequest list;
  list.set_kind("Dataset");
  tributary::v1::ListResponse listed;
  {
    grpc::ClientContext context;
    SetCaller(context, "checkout");
    ASSERT_TRUE(admin_stub_->List(&context, list, &listed).ok());
  }
  ASSERT_EQ(listed.objects_size(), 1);
  EXPECT_THAT(listed.objects(0), HasSubstr(R"("entries":1)"));

  tributary::v1::DeleteRequest gone;
  gone.set_kind("Dataset");
  gone.set_name("orders");
  tributary::v1::DeleteResponse ignored;
  for (const auto& [caller, code] : {std::pair{"billing", grpc::StatusCode::PERMISSION_DENIED},
                                     std::pair{"checkout", grpc::StatusCode::OK},
                                     std::pair{"checkout", grpc::StatusCode::NOT_FOUND}}) {
    grpc::ClientContext context;
    SetCaller(context, caller);
    EXPECT_EQ(admin_stub_->Delete(&context, gone, &ignored).error_code(), code);
  }
  gone.set_kind("Pod");
  grpc::ClientContext context;
  SetCaller(context, "checkout");
  EXPECT_EQ(admin_stub_->Delete(&context, gone, &ignored).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, ReadsWhatIsCommittedForThoseWhoMay) {
  ASSERT_TRUE(Apply("checkout", {kOrders}).ok());
  Publish("a", "1");
  Publish("b", "2");
  Publish("b", std::nullopt);
  tributary::v1::GetResponse response;
  ASSERT_TRUE(Get("billing", {"a", "b"}, response).ok());
  ASSERT_EQ(response.entries_size(), 2);
  EXPECT_EQ(response.entries(0).value(), "1");
  EXPECT_FALSE(response.entries(1).found());
  EXPECT_EQ(response.head(), 4u) << "the declaration, then three batches";
  EXPECT_EQ(Get("stranger", {"a"}, response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Get("billing", {""}, response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, ScansInKeyOrderWithPrefixAndLimit) {
  ASSERT_TRUE(Apply("checkout", {kOrders}).ok());
  const std::string big(500'000, 'x');  // several messages
  for (const char* key : {"eu-3", "eu-1", "us-1", "eu-2", "eu-4"}) Publish(key, big);
  for (const auto& [limit, want] :
       {std::pair{0, "eu-1 eu-2 eu-3 eu-4 "}, std::pair{2, "eu-1 eu-2 "}}) {
    tributary::v1::ScanRequest request;
    request.set_dataset("orders");
    request.set_prefix("eu-");
    request.set_limit(static_cast<std::uint64_t>(limit));
    grpc::ClientContext context;
    SetCaller(context, "billing");
    auto stream = reader_stub_->Scan(&context, request);
    std::string got;
    for (tributary::v1::ScanResponse message; stream->Read(&message);) {
      for (const auto& entry : message.entries()) {
        got += entry.key() + " ";
        EXPECT_EQ(entry.value(), big);
      }
    }
    EXPECT_TRUE(stream->Finish().ok());
    EXPECT_EQ(got, want);
  }
}

TEST_F(AdminServiceTest, StatusJoinsStoreAndHub) {
  ASSERT_TRUE(Apply("checkout", {kOrders}).ok());
  Publish("a", "1");
  hub_.agents.push_back(
      {.service = "billing", .instance = "i", .peer = "unix:", .user_agent = "t"});
  hub_.copies.push_back({.service = "billing",
                         .instance = "i",
                         .dataset = "orders",
                         .prefix = "",
                         .state = "SYNCED",
                         .digest = "ok",
                         .revision = 1,
                         .head = 4});
  grpc::ClientContext context;
  SetCaller(context, "billing");
  tributary::v1::StatusResponse response;
  ASSERT_TRUE(admin_stub_->Status(&context, {}, &response).ok());
  ASSERT_EQ(response.copies_size(), 1);
  EXPECT_EQ(response.copies(0).lag(), 3u);
  EXPECT_EQ(response.copies(0).age_ms(), -1);
  ASSERT_EQ(response.datasets_size(), 1);
  EXPECT_EQ(response.datasets(0).entries(), 1u);
  EXPECT_THAT(AgentsPage(hub_, clock_.Now()), HasSubstr(R"("lag": 3)"));
  EXPECT_THAT(*DatasetsPage(*store_), HasSubstr(R"("entries": 1)"));
}

}  // namespace
}  // namespace cp
