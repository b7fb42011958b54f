#include "control-plane/kube/token_reviewer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/fake_kube_api.h"

namespace cp {
namespace {

using common::StatusCode;
using nlohmann::json;

class ManualClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return 0; }
  common::MonotonicTime now{std::chrono::hours(1)};
};

json Review(const std::string& user) {
  return {
      {"status",
       {{"authenticated", true}, {"audiences", {"tributary"}}, {"user", {{"username", user}}}}}};
}

constexpr const char* kPath = "/apis/authentication.k8s.io/v1/tokenreviews";

TEST(TokenReviewerTest, ReadsReviews) {
  EXPECT_EQ(*ServiceOfReview(Review("system:serviceaccount:finance:billing"), "tributary"),
            "billing.finance");
  json other_audience = Review("system:serviceaccount:finance:billing");
  other_audience["status"]["audiences"] = {"vault"};
  json no_audience = Review("system:serviceaccount:finance:billing");
  no_audience["status"].erase("audiences");
  json refused = Review("system:serviceaccount:finance:billing");
  refused["status"]["authenticated"] = false;
  for (const json& review :
       {other_audience, no_audience, refused, Review("kubernetes-admin"),
        Review("system:serviceaccount:finance"), Review("system:serviceaccount:finance:"),
        Review("system:serviceaccount::x"), json({{"status", {{"error", "expired"}}}}),
        json::object(), json({{"status", 1}})}) {
    EXPECT_EQ(ServiceOfReview(review, "tributary").status().code(), StatusCode::kUnauthenticated)
        << review;
  }
}

TEST(TokenReviewerTest, RemembersAnswersForTheirTime) {
  FakeKubeApi api;
  ManualClock clock;
  TokenReviewer reviewer({}, api, clock);
  api.AnswerPost(kPath, Review("system:serviceaccount:finance:billing"));
  EXPECT_EQ(reviewer.Remembered("t").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(*reviewer.Verify("t"), "billing.finance");
  EXPECT_EQ(*reviewer.Remembered("t"), "billing.finance");
  api.AnswerPost(kPath, {{"status", {{"error", "expired"}}}});
  EXPECT_EQ(*reviewer.Verify("t"), "billing.finance");
  EXPECT_EQ(api.calls(), 1);
  clock.now += std::chrono::seconds(301);
  EXPECT_EQ(reviewer.Verify("t").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(reviewer.Verify("t").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(api.calls(), 2);
  clock.now += std::chrono::seconds(11);
  EXPECT_FALSE(reviewer.Verify("t").ok());
  EXPECT_EQ(api.calls(), 3);
}

TEST(TokenReviewerTest, TroubleWithTheServerIsNotTheTokens) {
  FakeKubeApi api;
  ManualClock clock;
  TokenReviewer reviewer({}, api, clock);
  api.AnswerPost(kPath, Review("system:serviceaccount:finance:billing"));
  for (const int code : {403, 429, 500}) {
    api.FailNext(1, code);
    EXPECT_EQ(reviewer.Verify("t").status().code(), StatusCode::kUnavailable) << code;
  }
  EXPECT_EQ(*reviewer.Verify("t"), "billing.finance");
}

TEST(TokenReviewerTest, MemoryHasABound) {
  FakeKubeApi api;
  ManualClock clock;
  TokenReviewer reviewer({.remembered_max = 3}, api, clock);
  api.AnswerPost(kPath, Review("system:serviceaccount:finance:billing"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(reviewer.Verify(std::to_string(i)).ok());
  EXPECT_TRUE(reviewer.Remembered("9").ok());
  EXPECT_FALSE(reviewer.Remembered("0").ok());
}

}  // namespace
}  // namespace cp
