#include "control-plane/webhook/review.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "control-plane/kube/base64.h"
#include "control-plane/kube/objects.h"

namespace cp {
namespace {

using common::InvalidArgument;
using common::Status;
using nlohmann::json;

constexpr const char* kVersion = "admission.k8s.io/v1";
constexpr std::size_t kWarningBytesMax = 250;  // the API server drops what makes them too long

struct Review {
  std::string uid = {};
  std::string subject = {};
  std::string space = {};
  json object = {};
};

std::string TextAt(const json& object, const json::json_pointer& at) {
  const json value = object.is_object() ? object.value(at, json()) : json();
  return value.is_string() ? value.get<std::string>() : "";
}

common::StatusOr<Review> ParseReview(std::string_view body) {
  const json review = json::parse(body, nullptr, false);
  using Pointer = json::json_pointer;
  if (!review.is_object() || TextAt(review, Pointer("/kind")) != "AdmissionReview" ||
      TextAt(review, Pointer("/apiVersion")) != kVersion) {
    return InvalidArgument("the body is no AdmissionReview of {}", kVersion);
  }
  const json request = review.value("request", json());
  Review parsed{.uid = TextAt(request, Pointer("/uid")),
                .space = TextAt(request, Pointer("/namespace"))};
  if (parsed.uid.empty()) return InvalidArgument("the AdmissionReview has no request.uid");
  parsed.object = request.value("object", json());
  std::string name = TextAt(request, Pointer("/name"));
  if (name.empty()) name = TextAt(parsed.object, Pointer("/metadata/name"));
  if (name.empty()) name = TextAt(parsed.object, Pointer("/metadata/generateName"));
  parsed.subject =
      fmt::format("{} {}/{}", TextAt(request, Pointer("/resource/resource")), parsed.space, name);
  return parsed;
}

ReviewAnswer AnswerTo(const Review& review, const Status& verdict, const json& patch,
                      const std::vector<std::string>& warnings) {
  json response = {{"uid", review.uid}, {"allowed", verdict.ok()}};
  if (!verdict.ok()) {
    // Not 422: kubectl before 1.22 shows no message with that.
    response["status"] = {
        {"code", 403}, {"reason", "Forbidden"}, {"message", std::string(common::Message(verdict))}};
  } else if (!patch.empty()) {
    response["patchType"] = "JSONPatch";
    response["patch"] = Base64Encode(patch.dump());
  }
  for (const std::string& warning : warnings) {
    response["warnings"].push_back(warning.substr(0, kWarningBytesMax));
  }
  const json answer = {
      {"apiVersion", kVersion}, {"kind", "AdmissionReview"}, {"response", std::move(response)}};
  return {.body = answer.dump(-1, ' ', false, json::error_handler_t::replace),
          .allowed = verdict.ok(),
          .patched = verdict.ok() && !patch.empty(),
          .message = std::string(common::Message(verdict)),
          .subject = review.subject,
          .warnings = warnings.size()};
}

}  // namespace

common::StatusOr<ReviewAnswer> ReviewPod(std::string_view body, const InjectSettings& settings) {
  ASSIGN_OR_RETURN(const Review review, ParseReview(body));
  const auto injection = Inject(review.object, review.space, settings);
  if (!injection.ok()) {
    const Status refused = common::Annotate(injection.status(), "no agent can be injected");
    return AnswerTo(review, refused, json::array(), {});
  }
  return AnswerTo(review, common::OkStatus(), injection->patch, injection->warnings);
}

common::StatusOr<ReviewAnswer> ReviewDeclaration(std::string_view body) {
  ASSIGN_OR_RETURN(const Review review, ParseReview(body));
  return AnswerTo(review, DeclarationOf(review.object).status(), json::array(), {});
}

}  // namespace cp
