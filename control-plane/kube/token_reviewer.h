// TokenReviewer: asks the API server whose a service-account token is.
//
// Thread: any.  Lifetime: api and clock outlive it.
// A token is good when it was made for the audience "tributary"; it proves <serviceaccount>.
// <namespace>. Answers are kept for minutes, refusals for seconds; tokens are kept as hashes only.
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>

#include "common/clock.h"
#include "common/mutex.h"
#include "common/token_verifier.h"
#include "control-plane/kube/kube_api.h"

namespace cp {

struct TokenReviewerOptions {
  std::string audience = "tributary";
  std::chrono::seconds good_for{300};
  std::chrono::seconds bad_for{10};
  std::size_t remembered_max = 100'000;
  std::size_t reviews_max = 64;  // at a time; beyond: UNAVAILABLE, callers come again
};

class TokenReviewer final : public common::TokenVerifier {
 public:
  TokenReviewer(TokenReviewerOptions options, KubeApi& api, const common::Clock& clock);

  common::StatusOr<std::string> Verify(std::string_view token) override TSA_EXCLUDES(mutex_);
  common::StatusOr<std::string> Remembered(std::string_view token) const override
      TSA_EXCLUDES(mutex_);

 private:
  struct Known {
    common::StatusOr<std::string> service;
    common::MonotonicTime until;
  };

  common::StatusOr<std::string> Ask(std::string_view token);
  void Remember(const std::string& hash, const common::StatusOr<std::string>& service)
      TSA_EXCLUDES(mutex_);

  const TokenReviewerOptions options_;
  KubeApi& api_;
  const common::Clock& clock_;
  mutable common::Mutex mutex_;
  std::size_t reviews_ TSA_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, Known> known_ TSA_GUARDED_BY(mutex_);
};

// The service in the answer to a TokenReview. UNAUTHENTICATED says why not.
common::StatusOr<std::string> ServiceOfReview(const nlohmann::json& review,
                                              std::string_view audience);

}  // namespace cp
