// SyncFixture: a SyncCore over a real cache in memory, a scripted control plane and a manual clock.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache_fixture.h"
#include "agent/xds/sync_core.h"
#include "tests/fakes/fake_control_plane.h"

namespace agent {

class SyncFixture : public CacheFixture {
 protected:
  inline static const common::Collection kPrices{.dataset = "prices", .prefix = ""};
  inline static const std::string kGlob = "xdstp:///tributary.v1.Entry/prices/*";

  void SetUp() override {
    CacheFixture::SetUp();
    sync_.service = "web";
    sync_.instance = "host-1";
    sync_.subscribe = {*common::ParseSubscribeFlag("prices")};
  }
  void MakeCore() {
    core_ = std::make_unique<SyncCore>(sync_, clock_, *writer_, board_, server_, log_);
    ASSERT_EQ(core_->Start(), common::OkStatus());
  }
  // A core with a stream open, on which the server has not yet said anything.
  void OpenStream() {
    if (core_ == nullptr) MakeCore();
    core_->OnConnecting("cp:1");
    core_->OnOpened();
  }
  // A core with a stream open, whose server has answered that it has no subscriptions.
  void Connect(const std::string& server = "fake") {
    OpenStream();
    Respond(ResponseBuilder(common::kSubscriptionType, "hello").From(server));
    EXPECT_EQ(server_.TakeAnswer(common::kSubscriptionType), "ACK hello");
  }
  void Lose(common::StatusCode code = common::StatusCode::kUnavailable) {
    core_->OnClosed(common::Error(code, "lost"));
    server_.requests.clear();
    server_.closed.reset();
  }
  // The process dies and comes back.
  void Restart() {
    core_.reset();
    server_.requests.clear();
    Reopen();
    Connect();
  }
  void Respond(const ResponseBuilder& response) { core_->OnResponse(response.Bytes()); }
  void After(std::chrono::milliseconds time) {
    clock_.now += time;
    clock_.unix_ms += time.count();
    core_->Tick();
  }
  static ResponseBuilder Entries(std::string nonce) {
    return ResponseBuilder(common::kEntryType, std::move(nonce));
  }
  std::string EntryAnswer() { return server_.TakeAnswer(common::kEntryType); }
  common::DeltaRequest FirstEntryRequest() {
    auto request = server_.Take(common::kEntryType);
    EXPECT_TRUE(request.has_value());
    return request.value_or(common::DeltaRequest{});
  }
  // Both markers have the collection's name, so they come in responses of their own.
  void Begin(const common::Collection& collection, const common::Version& at) {
    Respond(Entries("begin").Begin(collection, at));
    EXPECT_EQ(EntryAnswer(), "ACK begin");
  }
  // prices = {a: 1, b: 2} at revision 5, acknowledged.
  void LoadPrices() {
    Connect();
    FirstEntryRequest();
    Begin(kPrices, At(5));
    Respond(Entries("load")
                .Entry("prices", "a", At(3), "1")
                .Entry("prices", "b", At(5), "2")
                .Complete(kPrices, At(5)));
    ASSERT_EQ(EntryAnswer(), "ACK load");
  }
  CopyStatus Status(const std::string& dataset = "prices") {
    After(std::chrono::milliseconds(60));
    for (const CopyStatus& copy : board_.Get()->copies) {
      if (copy.collection.dataset == dataset) return copy;
    }
    ADD_FAILURE() << "no status of " << dataset;
    return {};
  }
  // The silence after which a foreign server's load is taken for complete.
  void Quiet() { After(sync_.foreign_quiet + std::chrono::milliseconds(1)); }
  static std::map<std::string, std::string> Versions(const common::DeltaRequest& request) {
    std::map<std::string, std::string> versions;
    for (const auto& [name, version] : request.initial_versions) {
      versions[name.substr(name.rfind('/') + 1)] = version;
    }
    return versions;
  }
  std::string InitialVersion(const common::DeltaRequest& request) {
    return request.initial_versions.empty() ? "" : request.initial_versions.front().second;
  }

  SyncOptions sync_;
  ManualClock clock_;
  StatusBoard board_;
  FakeControlPlane server_;
  std::vector<std::string> lines_;
  common::Log log_{common::LogLevel::kInfo, common::LogFormat::kText,
                   [this](std::string_view line) { lines_.emplace_back(line); }};
  std::unique_ptr<SyncCore> core_;
};

}  // namespace agent
