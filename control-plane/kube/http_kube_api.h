// HttpKubeApi: an API server over HTTPS.
//
// Thread: any.  Lifetime: Stop before destruction when calls may be under way.
// Each call has a connection of its own: calls are few, and a call then never waits for another.
// The token is read again for each, since the kubelet replaces it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "control-plane/kube/kube_api.h"

namespace cp {

struct KubeConnection {
  std::string server;  // https://HOST:PORT; http:// for kubectl proxy
  std::string ca_file = {};
  std::string token_file = {};
  std::chrono::seconds timeout{15};         // of a call
  std::chrono::seconds watch_silence{120};  // bookmarks come about once a minute
};

// From the variables and files that every pod has. FAILED_PRECONDITION: not in a cluster.
common::StatusOr<KubeConnection> InClusterConnection();
inline constexpr const char* kAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount";

class HttpKubeApi final : public KubeApi {
 public:
  explicit HttpKubeApi(KubeConnection connection);
  ~HttpKubeApi() override;
  HttpKubeApi(const HttpKubeApi&) = delete;
  HttpKubeApi& operator=(const HttpKubeApi&) = delete;

  common::StatusOr<KubeAnswer> Call(const KubeRequest& request) override;
  common::StatusOr<KubeAnswer> Watch(const std::string& path, const OnLine& on_line) override;
  void Stop() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cp
