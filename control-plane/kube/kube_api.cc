#include "control-plane/kube/kube_api.h"

#include <utility>

#include "common/suggest.h"

namespace cp {
namespace {

using common::StatusCode;
using nlohmann::json;

StatusCode CodeOf(int http) {
  switch (http) {
    case 400:
    case 422:
      return StatusCode::kInvalidArgument;
    case 401:
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    case 409:
      return StatusCode::kAborted;
    case 410:
      return StatusCode::kOutOfRange;
    default:
      return StatusCode::kUnavailable;
  }
}

// The `message` of the Status object that an API server answers with.
std::string MessageOf(const std::string& body) {
  const json status = json::parse(body, nullptr, false);
  if (status.is_object() && status.contains("message") && status["message"].is_string()) {
    return common::Printable(status["message"].get<std::string>(), 500);
  }
  return common::Printable(body, 200);
}

}  // namespace

common::Status ToStatus(const KubeAnswer& answer, std::string_view what) {
  if (answer.code >= 200 && answer.code < 300) return common::OkStatus();
  return common::Error(CodeOf(answer.code), "{}: HTTP {}: {}", what, answer.code,
                       MessageOf(answer.body));
}

common::StatusOr<json> CallJson(KubeApi& api, const KubeRequest& request) {
  ASSIGN_OR_RETURN(const KubeAnswer answer, api.Call(request));
  RETURN_IF_ERROR(ToStatus(answer, request.method + " " + request.path));
  json object = json::parse(answer.body, nullptr, false);
  if (!object.is_object()) {
    return common::Error(StatusCode::kUnavailable, "{} {}: the answer is no JSON object",
                         request.method, request.path);
  }
  return object;
}

}  // namespace cp
