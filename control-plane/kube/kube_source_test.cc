#include "control-plane/kube/kube_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "control-plane/store/lmdb_store.h"
#include "tests/fakes/fake_kube_api.h"

namespace cp {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kDatasets = "/apis/tributary.dev/v1alpha1/datasets";
constexpr const char* kSubscriptions = "/apis/tributary.dev/v1alpha1/subscriptions";

class Ignore final : public CommitListener {
  void OnCommitted(const std::vector<std::string>&, CatalogPtr) override {}
};

json DatasetObject(const std::string& owner) {
  return {{"apiVersion", "tributary.dev/v1alpha1"},
          {"kind", "Dataset"},
          {"metadata", {{"name", "orders"}, {"namespace", "shop"}}},
          {"spec", {{"owner", owner}, {"consumers", {"billing.finance"}}}}};
}

json SubscriptionObject(const std::string& service, const std::string& dataset) {
  return {{"apiVersion", "tributary.dev/v1alpha1"},
          {"kind", "Subscription"},
          {"metadata", {{"name", "s"}, {"namespace", "finance"}}},
          {"spec", {{"service", service}, {"dataset", dataset}}}};
}

class KubeSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/kube_source_test." + std::to_string(getpid());
    std::filesystem::remove_all(dir_);
    auto store = LmdbStore::Open({.dir = dir_, .map_bytes = 1 << 30, .sync = false});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    committer_ = std::make_unique<Committer>(CommitterOptions{}, clock_, *store_, listener_);
  }
  void TearDown() override {
    source_.reset();
    committer_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }
  void Start() {
    using std::chrono::milliseconds;
    source_ = std::make_unique<KubeSource>(
        KubeSourceOptions{
            .mirror = {.backoff_min = milliseconds(5), .backoff_max = milliseconds(50)},
            .status_interval = milliseconds(10)},
        api_, *store_, *committer_, [this] { return hub_; }, clock_, log_, metrics_);
    source_->Start();
  }
  static void Eventually(const std::function<bool()>& check) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    common::Mailbox<int> nobody(1);
    while (!check() && std::chrono::steady_clock::now() < deadline)
      nobody.WaitAll(std::chrono::milliseconds(5));
    EXPECT_TRUE(check());
  }
  std::string OwnerOf(const std::string& name) {
    const CatalogPtr catalog = store_->catalog();
    const common::Dataset* dataset = catalog->FindDataset(name);
    return dataset == nullptr ? "" : dataset->owner;
  }
  // "True Declared" of the condition, or "".
  std::string ConditionOf(const char* collection, const char* key, const std::string& type) {
    for (const json& one :
         api_.At(collection, key).value("/status/conditions"_json_pointer, json::array())) {
      if (one["type"] != type) continue;
      return one["status"].get<std::string>() + " " + one["reason"].get<std::string>() + ": " +
             one["message"].get<std::string>();
    }
    return "";
  }

  common::SystemClock clock_;
  common::Log log_{common::LogLevel::kOff, common::LogFormat::kText, [](std::string_view) {}};
  common::Metrics metrics_;
  Ignore listener_;
  FakeKubeApi api_;
  HubStatus hub_;
  std::string dir_;
  std::unique_ptr<LmdbStore> store_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<KubeSource> source_;
};

TEST_F(KubeSourceTest, FollowsObjectsThroughFaultsOfTheServer) {
  api_.Put(kDatasets, DatasetObject("checkout.shop"));
  api_.FailNext(3, 503);
  Start();
  Eventually([&] { return OwnerOf("orders.shop") == "checkout.shop"; });
  api_.Put(kDatasets, DatasetObject("cart.shop"));
  Eventually([&] { return OwnerOf("orders.shop") == "cart.shop"; });
  api_.BreakWatches();
  api_.Put(kDatasets, DatasetObject("third.shop"));
  Eventually([&] { return OwnerOf("orders.shop") == "third.shop"; });
  api_.ForgetHistory();
  api_.Delete(kDatasets, "shop/orders");
  Eventually([&] { return OwnerOf("orders.shop").empty(); });
}

TEST_F(KubeSourceTest, ConditionsSayWhatIsMissing) {
  hub_.agents = {{.service = "billing.finance", .instance = "a"}};
  hub_.copies = {
      {.service = "billing.finance", .instance = "a", .dataset = "orders.shop", .state = "SYNCED"}};
  Start();
  const auto ready = [&](const char* want) {
    Eventually([&] {
      return ConditionOf(kSubscriptions, "finance/s", "Ready").find(want) != std::string::npos;
    });
  };
  api_.Put(kSubscriptions, SubscriptionObject("checkout.shop", "orders.shop"));
  ready("NotAccepted: spec.service: checkout.shop is no service of namespace finance");
  api_.Put(kSubscriptions, SubscriptionObject("billing.finance", "orders.shop"));
  ready("False DatasetUnknown");
  api_.Put(kDatasets, DatasetObject("checkout.shop"));
  ready("True Synced");
  Eventually([&] { return api_.At(kDatasets, "shop/orders")["status"]["consumers"] == 1; });
  json closed = DatasetObject("checkout.shop");
  closed["spec"]["consumers"] = json::array();
  api_.Put(kDatasets, closed);
  ready("False NotGranted");
}

TEST_F(KubeSourceTest, ABadObjectHoldsUpNoOtherAndKeepsItsLastGoodForm) {
  Start();
  api_.Put(kDatasets, DatasetObject("checkout.shop"));
  Eventually([&] { return OwnerOf("orders.shop") == "checkout.shop"; });
  api_.Put(kDatasets, DatasetObject("Not A Service"));
  api_.Put(kSubscriptions, SubscriptionObject("billing.finance", "orders.shop"));
  Eventually([&] {
    return ConditionOf(kDatasets, "shop/orders", "Accepted")
        .starts_with("False Invalid: spec.owner");
  });
  Eventually([&] { return store_->catalog()->subscriptions.contains("s.finance"); });
  EXPECT_EQ(OwnerOf("orders.shop"), "checkout.shop");
}

TEST_F(KubeSourceTest, WhatAnotherSourceDeclaredIsNotTaken) {
  Group group;
  group.declarations.push_back({.kind = "Dataset",
                                .name = "orders.shop",
                                .object = common::Dataset{.name = "orders.shop", .owner = "x.shop"},
                                .source = Source::kManifests,
                                .origin = "main.yaml"});
  ASSERT_TRUE(store_->Commit(group).ok());
  api_.Put(kDatasets, DatasetObject("checkout.shop"));
  Start();
  Eventually([&] {
    return ConditionOf(kDatasets, "shop/orders", "Accepted").starts_with("False Refused");
  });
  EXPECT_THAT(ConditionOf(kDatasets, "shop/orders", "Accepted"), HasSubstr("main.yaml"));
  EXPECT_EQ(OwnerOf("orders.shop"), "x.shop");
}

TEST(Rfc3339Test, IsAsKubernetesWritesTimes) {
  EXPECT_EQ(Rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(Rfc3339(1'700'000'000'999), "2023-11-14T22:13:20Z");
}

}  // namespace
}  // namespace cp
