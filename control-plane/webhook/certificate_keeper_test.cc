#include "control-plane/webhook/certificate_keeper.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

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

struct Replica {
  explicit Replica(Objects& api) : keeper(Options(), api, server, clock, log, metrics) {}
  static CertificateKeeperOptions Options() {
    CertificateKeeperOptions options;
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

TEST(CertificateKeeperTest, ReplicasMakeOneAuthorityAndThenWriteNothing) {
  Objects api;
  const std::string mutating = std::string(kHooks) + "mutatingwebhookconfigurations/";
  const std::string validating = std::string(kHooks) + "validatingwebhookconfigurations/";
  const json unsigned_hooks = {
      {"webhooks", json::array({{{"name", "a"}, {"clientConfig", json::object()}}})}};
  api.objects[mutating + kMutatingWebhook] = unsigned_hooks;
  api.objects[validating + kValidatingWebhook] = unsigned_hooks;
  Replica first(api);
  Replica second(api);
  ASSERT_EQ(first.keeper.Round(), common::OkStatus());
  EXPECT_EQ(api.writes, 4) << "two secrets, two configurations";
  const json& hook = api.objects.at(mutating + kMutatingWebhook).at("webhooks").at(0);
  EXPECT_FALSE(hook.at("clientConfig").at("caBundle").get<std::string>().empty());
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

}  // namespace
}  // namespace cp
