#include "control-plane/webhook/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace cp {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json ReviewOf(json object, const char* resource = "pods") {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "u-1"},
            {"namespace", "finance"},
            {"resource", {{"resource", resource}}},
            {"object", std::move(object)}}}};
}

json Pod() {
  return {{"metadata", {{"generateName", "billing-"}}},
          {"spec", {{"containers", json::array({{{"name", "app"}}})}}}};
}

json Response(const common::StatusOr<ReviewAnswer>& answer) {
  return json::parse(answer->body).at("response");
}

TEST(ReviewTest, AnswersAPodWithAPatchInBase64) {
  const auto answer =
      ReviewPod(ReviewOf(Pod()).dump(), {.image = "a:1", .control_plane = "c:1", .version = "1"});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->patched);
  EXPECT_EQ(answer->subject, "pods finance/billing-");
  const json response = Response(answer);
  EXPECT_EQ(response.at("uid"), "u-1");
  EXPECT_EQ(response.at("allowed"), true);
  EXPECT_EQ(response.at("patchType"), "JSONPatch");
  EXPECT_THAT(response.at("patch").get<std::string>(), ::testing::StartsWith("W3si"));  // [{"
}

TEST(ReviewTest, RefusesWithTheReasonAndPassesWarnings) {
  json pod = Pod();
  pod["metadata"]["annotations"]["tributary.dev/x"] = "1";
  EXPECT_EQ(Response(ReviewPod(ReviewOf(pod).dump(), {})).at("warnings").size(), 1U);
  pod["metadata"]["annotations"]["tributary.dev/wait-for"] = "x";
  const auto answer = ReviewPod(ReviewOf(pod).dump(), {});
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->allowed);
  EXPECT_EQ(Response(answer).at("status").at("code"), 403);
  EXPECT_THAT(Response(answer).at("status").at("message").get<std::string>(),
              HasSubstr("no agent can be injected: annotation tributary.dev/wait-for"));
}

TEST(ReviewTest, HoldsDeclarationsToWhatNoSchemaSays) {
  const auto subscription = [](json spec) {
    return ReviewOf({{"apiVersion", "tributary.dev/v1alpha1"},
                     {"kind", "Subscription"},
                     {"metadata", {{"name", "s"}, {"namespace", "finance"}, {"uid", "1"}}},
                     {"spec", std::move(spec)}},
                    "subscriptions")
        .dump();
  };
  EXPECT_TRUE(
      ReviewDeclaration(subscription({{"service", "billing.finance"}, {"dataset", "orders.shop"}}))
          ->allowed);
  EXPECT_THAT(
      ReviewDeclaration(subscription({{"service", "checkout.shop"}, {"dataset", "orders.shop"}}))
          ->message,
      HasSubstr("spec.service: checkout.shop is no service of namespace finance"));
  EXPECT_THAT(ReviewDeclaration(subscription({{"service", "billing.finance"},
                                              {"dataset", "orders.shop"},
                                              {"consistency", {{"level", "bounded"}}}}))
                  ->message,
              HasSubstr("spec.consistency.maxStaleness: is required"));
}

TEST(ReviewTest, RefusesBodiesThatAreNoReview) {
  for (const char* body : {"", "{", "[]", "{\"kind\":\"AdmissionReview\"}",
                           R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"})",
                           R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"})",
                           R"({"kind":7,"apiVersion":"admission.k8s.io/v1","request":[]})"}) {
    EXPECT_FALSE(ReviewPod(body, {}).ok()) << body;
    EXPECT_FALSE(ReviewDeclaration(body).ok()) << body;
  }
  const std::string whole = ReviewOf(Pod()).dump();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_FALSE(ReviewPod(whole.substr(0, cut), {}).ok());
  }
}

}  // namespace
}  // namespace cp
