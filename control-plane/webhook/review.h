// Review: AdmissionReview in, AdmissionReview out, for both webhooks.
//
// Thread: any.  Lifetime: pure functions over values.
// A body that is no AdmissionReview is an error (HTTP 400); everything else is answered, since an
// unanswered review fails the pod with a message that nobody understands.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "control-plane/webhook/inject.h"

namespace cp {

struct ReviewAnswer {
  std::string body;  // AdmissionReview as JSON
  bool allowed = true;
  bool patched = false;
  std::string message = {};  // why it was refused
  std::string subject = {};  // "pods finance/billing-7d4-" for the log
  std::size_t warnings = 0;
};

// Creation of a pod.
common::StatusOr<ReviewAnswer> ReviewPod(std::string_view body, const InjectSettings& settings);
// Creation or change of a Dataset or Subscription.
common::StatusOr<ReviewAnswer> ReviewDeclaration(std::string_view body);

}  // namespace cp
