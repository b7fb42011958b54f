// InjectorApp: the program with --webhook-only – the injector and its operators' pages, no store.
//
// Thread: main.  Lifetime: options, clock, log and metrics outlive it.
#pragma once

#include <memory>
#include <optional>

#include "common/admin_server.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "control-plane/injector.h"
#include "control-plane/kube/http_kube_api.h"
#include "control-plane/options.h"

namespace cp {

// From --kubernetes-server, -ca and -token-file, else from what each pod has.
common::StatusOr<KubeConnection> ConnectionOf(const Options& options);

class InjectorApp {
 public:
  InjectorApp(Options options, const common::Clock& clock, common::Log& log,
              common::Metrics& metrics);
  ~InjectorApp();
  InjectorApp(const InjectorApp&) = delete;
  InjectorApp& operator=(const InjectorApp&) = delete;

  common::Status Start();

 private:
  Options options_;
  const common::Clock& clock_;
  common::Log& log_;
  common::Metrics& metrics_;
  std::optional<HttpKubeApi> api_;
  std::optional<Injector> injector_;
  common::AdminServer pages_;
};

}  // namespace cp
