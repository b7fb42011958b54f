// KubeApi: an API server, as little of it as the control plane and the injector need.
//
// Thread: any, several at a time.  Lifetime: outlives its callers; Stop ends calls that are under
// way and refuses all later ones.
// HttpKubeApi is the real one, tests/fakes/fake_kube_api.h stands in for it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cp {

struct KubeRequest {
  std::string method = "GET";
  std::string path;  // with its query
  std::string body = {};
  std::string content_type = "application/json";
};

struct KubeAnswer {
  int code = 0;
  std::string body = {};
};

class KubeApi {
 public:
  KubeApi() = default;
  KubeApi(const KubeApi&) = delete;
  KubeApi& operator=(const KubeApi&) = delete;
  virtual ~KubeApi() = default;

  // UNAVAILABLE: no answer. Whatever the server answers is OK here.
  virtual common::StatusOr<KubeAnswer> Call(const KubeRequest& request) = 0;
  // Hands over each line of an answer that goes on for minutes, until it ends or `on_line` says
  // false. The code, and the body if it is not 200.
  using OnLine = std::function<bool(std::string_view line)>;
  virtual common::StatusOr<KubeAnswer> Watch(const std::string& path, const OnLine& on_line) = 0;
  virtual void Stop() = 0;
};

inline constexpr const char* kMergePatch = "application/merge-patch+json";
inline constexpr const char* kJsonPatch = "application/json-patch+json";

// The answer's object, or what its code means: NOT_FOUND (404), ABORTED (409: changed meanwhile or
// there already), OUT_OF_RANGE (410: history gone), PERMISSION_DENIED (401, 403: RBAC, says which),
// INVALID_ARGUMENT (400, 422), UNAVAILABLE (all others).
common::StatusOr<nlohmann::json> CallJson(KubeApi& api, const KubeRequest& request);
common::Status ToStatus(const KubeAnswer& answer, std::string_view what);

}  // namespace cp
