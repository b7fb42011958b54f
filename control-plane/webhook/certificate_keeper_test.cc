#include "control-plane/webhook/certificate_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "control-plane/kube/base64.h"

namespace cp {
namespace {

using nlohmann::json;

// Objects by their path: GET, POST, PUT, and PATCH by RFC 6902.
class Objects final : public KubeApi {
 public:
  common::StatusOr<KubeAnswer> Call(const KubeRequest& request) override {
    const json body = json::parse(request.body, nullptr, false);
    if (request.method == "GET") {
      const auto found = objects.find(request.path);
      if (found == objects.end()) return KubeAnswer{404, "{}"};
      return KubeAnswer{200, found->second.dump()};
    }
    ++writes;
    if (request.method == "PATCH") {
      objects[request.path] = objects.at(request.path).patch(body);
    } else {
      const std::string name = "/" + body.at("metadata").at("name").get<std::string>();
      objects[request.path + (request.method == "POST" ? name : "")] = body;
    }
    return KubeAnswer{200, "{}"};
  }
  common::StatusOr<KubeAnswer> Watch(const std::string&, const OnLine&) override {
    return absl::UnavailableError("none");
  }
  void Stop() override {}

  std::map<std::string, json> objects;
  int writes = 0;
};

constexpr const char* kHooks = "/apis/admissionregistration.k8s.io/v1/";
constexpr const char* kSecrets = "/api/v1/namespaces/tributary-system/secrets/";

std::string Mutating() {
  return std::string(kHooks) + "mutatingwebhookconfigurations/" + kMutatingWebhook;
}

struct Replica {
  explicit Replica(Objects& api, CertificateFiles files = {})
      : keeper(Options(std::move(files)), api, server, clock, log, metrics) {}
  static CertificateKeeperOptions Options(CertificateFiles files) {
    CertificateKeeperOptions options;
    options.files = std::move(files);
    options.pki.webhook_names = {"injector"};
    options.pki.server_names = {"control-plane"};
    return options;
  }
  common::SystemClock clock;
  common::Log log{common::LogLevel::kOff, common::LogFormat::kText, [](std::string_view) {}};
  common::Metrics metrics;
  AdmissionServer server{log, metrics};
  CertificateKeeper keeper;
};

// The two configurations as they are applied, and the `caBundle` that the first has by now.
void AddHooks(Objects& api) {
  const json unsigned_hooks = {
      {"webhooks", json::array({{{"name", "a"}, {"clientConfig", json::object()}}})}};
  api.objects[Mutating()] = unsigned_hooks;
  api.objects[std::string(kHooks) + "validatingwebhookconfigurations/" + kValidatingWebhook] =
      unsigned_hooks;
}
std::string CaBundle(const Objects& api) {
  const json& hook = api.objects.at(Mutating()).at("webhooks").at(0);
  return Base64Decode(hook.at("clientConfig").at("caBundle").get<std::string>()).value_or("");
}

TEST(CertificateKeeperTest, ReplicasMakeOneAuthorityAndThenWriteNothing) {
  Objects api;
  AddHooks(api);
  Replica first(api);
  Replica second(api);
  ASSERT_EQ(first.keeper.Round(), common::OkStatus());
  EXPECT_EQ(api.writes, 4) << "two secrets, two configurations";
  EXPECT_TRUE(ExpiryOf(CaBundle(api)).ok());
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(second.keeper.Round(), common::OkStatus());
    ASSERT_EQ(first.keeper.Round(), common::OkStatus());
  }
  EXPECT_EQ(api.writes, 4);
  const json server = api.objects.at(std::string(kSecrets) + kServerSecret);
  for (const char* file : {"tls.crt", "tls.key", "ca.crt"}) {
    EXPECT_TRUE(server.at("data").contains(file)) << file;
  }
  api.objects.erase(std::string(kSecrets) + kPkiSecret);
  ASSERT_EQ(first.keeper.Round(), common::OkStatus());
  EXPECT_NE(api.objects.at(std::string(kSecrets) + kServerSecret), server) << "made anew";
}

TEST(CertificateKeeperTest, FilesOfAnotherMakerAreFollowed) {
  Objects api;
  AddHooks(api);
  const std::filesystem::path dir = std::filesystem::path(testing::TempDir()) / "keeper";
  std::filesystem::create_directories(dir);
  const CertificateFiles files{dir / "tls.crt", dir / "tls.key", dir / "ca.crt"};
  const auto issue = [&] {
    const Pki pki = *RenewPki({}, Replica::Options({}).pki, 1'800'000'000);
    std::ofstream(files.certificate) << pki.webhook.certificate;
    std::ofstream(files.key) << pki.webhook.key;
    std::ofstream(files.authority) << pki.authority.certificate;
    return pki;
  };
  const Pki first = issue();
  Replica replica(api, files);
  ASSERT_EQ(replica.keeper.Round(), common::OkStatus());
  EXPECT_EQ(CaBundle(api), first.authority.certificate);
  const Pki second = issue();
  ASSERT_EQ(replica.keeper.Round(), common::OkStatus());
  EXPECT_EQ(CaBundle(api), second.authority.certificate);
  EXPECT_EQ(api.writes, 4) << "two configurations, twice; no secrets";
  std::ofstream(files.key) << first.webhook.key;  // half of a change has arrived
  EXPECT_FALSE(replica.keeper.Round().ok());
  std::ofstream(files.key) << second.webhook.key;
  EXPECT_EQ(replica.keeper.Round(), common::OkStatus());
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace cp
