// App: the control plane, put together. The only place that knows every part.
//
// Thread: main.  Lifetime: options, log and metrics outlive it.
// Members stand in the order in which they start; they stop in the reverse order.
#pragma once

#include <grpcpp/server.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "common/admin_server.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "control-plane/admin/admin_service.h"
#include "control-plane/admin/reader_service.h"
#include "control-plane/injector.h"
#include "control-plane/kube/http_kube_api.h"
#include "control-plane/kube/kube_source.h"
#include "control-plane/kube/token_reviewer.h"
#include "control-plane/manifests/manifest_watcher.h"
#include "control-plane/options.h"
#include "control-plane/publish/publish_service.h"
#include "control-plane/store/committer.h"
#include "control-plane/store/store.h"
#include "control-plane/stream/discovery_service.h"
#include "control-plane/stream/hub_thread.h"

namespace cp {

class App {
 public:
  App(Options options, const common::Clock& clock, common::Log& log, common::Metrics& metrics);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Opens the store, applies the manifests, serves. An error says which part and why; then destroy.
  common::Status Start();
  // Refuses new work, answers what is under way, closes every stream (at most kDrainTimeout).
  void Drain();

 private:
  common::Status OpenStore();
  common::Status ReadManifests();
  common::Status ConnectToCluster();
  common::Status StartKubernetes();
  common::Status Serve();
  common::Trust MakeTrust() const;
  common::Status ServePages();
  void AddPages();
  void AddMetrics();

  Options options_;
  const common::Clock& clock_;
  common::Log& log_;
  common::Metrics& metrics_;
  std::unique_ptr<Store> store_;
  std::optional<HubThread> hub_;
  std::optional<Committer> committer_;
  std::optional<ManifestWatcher> manifests_;
  std::optional<HttpKubeApi> kube_api_;  // of tokens, and of declarations
  std::optional<TokenReviewer> tokens_;
  std::optional<KubeSource> kube_;
  std::optional<HttpKubeApi> injector_api_;
  std::optional<Injector> injector_;
  std::optional<DiscoveryService> discovery_;
  std::optional<PublishService> publish_;
  std::optional<ReaderService> reader_;
  std::optional<AdminService> admin_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<bool> serving_{false};
  common::AdminServer pages_;
};

}  // namespace cp
