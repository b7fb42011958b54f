#include "control-plane/kube/token_reviewer.h"

#include <openssl/sha.h>

#include <array>
#include <utility>

#include "common/names.h"
#include "common/suggest.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;
using nlohmann::json;

constexpr const char* kPath = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr std::string_view kAccountPrefix = "system:serviceaccount:";

std::string HashOf(std::string_view token) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return {digest.begin(), digest.end()};
}

}  // namespace

common::StatusOr<std::string> ServiceOfReview(const json& review, std::string_view audience) {
  const json status = review.value("status", json::object());
  if (!status.is_object() || status.value("authenticated", json()) != true) {
    const json why = status.is_object() ? status.value("error", json()) : json();
    return Error(StatusCode::kUnauthenticated, "the API server does not accept the token: {}",
                 why.is_string() ? common::Printable(why.get<std::string>(), 300) : "no reason");
  }
  // A server that does not know audiences answers without any: then nothing is proven.
  bool meant_for_us = false;
  for (const json& one : status.value("audiences", json::array())) {
    meant_for_us =
        meant_for_us || (one.is_string() && one.get_ref<const std::string&>() == audience);
  }
  if (!meant_for_us) {
    return Error(StatusCode::kUnauthenticated, "the token is not for the audience \"{}\"",
                 audience);
  }
  const json user = status.value("/user/username"_json_pointer, json());
  const std::string name = user.is_string() ? user.get<std::string>() : "";
  const std::size_t colon = name.find(':', kAccountPrefix.size());
  if (!name.starts_with(kAccountPrefix) || colon == std::string::npos) {
    return Error(StatusCode::kUnauthenticated, "the token is {}'s, not a service account's",
                 common::Printable(name));
  }
  std::string service =
      fmt::format("{}.{}", name.substr(colon + 1),
                  name.substr(kAccountPrefix.size(), colon - kAccountPrefix.size()));
  if (common::ValidateServiceName(service).ok()) return service;
  return Error(StatusCode::kUnauthenticated, "\"{}\" cannot be a service", common::Printable(name));
}

TokenReviewer::TokenReviewer(TokenReviewerOptions options, KubeApi& api, const common::Clock& clock)
    : options_(std::move(options)), api_(api), clock_(clock) {}

common::StatusOr<std::string> TokenReviewer::Remembered(std::string_view token) const {
  common::MutexLock lock(mutex_);
  const auto found = known_.find(HashOf(token));
  if (found != known_.end() && found->second.until > clock_.Now()) return found->second.service;
  return absl::UnavailableError("the token's review is forgotten; try again");
}

common::StatusOr<std::string> TokenReviewer::Verify(std::string_view token) {
  const std::string hash = HashOf(token);
  {
    common::MutexLock lock(mutex_);
    const auto found = known_.find(hash);
    if (found != known_.end() && found->second.until > clock_.Now()) return found->second.service;
    if (reviews_ >= options_.reviews_max) {
      return Error(StatusCode::kUnavailable, "{} token reviews are under way; try again", reviews_);
    }
    ++reviews_;
  }
  common::StatusOr<std::string> service = Ask(token);
  Remember(hash, service);
  return service;
}

common::StatusOr<std::string> TokenReviewer::Ask(std::string_view token) {
  const json review = {{"apiVersion", "authentication.k8s.io/v1"},
                       {"kind", "TokenReview"},
                       {"spec", {{"token", token}, {"audiences", {options_.audience}}}}};
  const auto answer =
      CallJson(api_, {.method = "POST",
                      .path = kPath,
                      .body = review.dump(-1, ' ', true, json::error_handler_t::replace)});
  // Whatever hinders asking is our trouble, not the token's.
  if (!answer.ok()) {
    return Error(StatusCode::kUnavailable, "token review: {}", common::Message(answer.status()));
  }
  return ServiceOfReview(*answer, options_.audience);
}

void TokenReviewer::Remember(const std::string& hash,
                             const common::StatusOr<std::string>& service) {
  const common::MonotonicTime now = clock_.Now();
  common::MutexLock lock(mutex_);
  --reviews_;
  if (!service.ok() && service.status().code() != StatusCode::kUnauthenticated) return;
  if (known_.size() >= options_.remembered_max) {
    std::erase_if(known_, [now](const auto& entry) { return entry.second.until <= now; });
    if (known_.size() >= options_.remembered_max) known_.clear();
  }
  known_.insert_or_assign(
      hash, Known{service, now + (service.ok() ? options_.good_for : options_.bad_for)});
}

}  // namespace cp
