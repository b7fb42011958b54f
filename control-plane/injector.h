// Injector: the webhooks with their certificates, put together.
//
// Thread: main.  Lifetime: options, api, clock, log and metrics outlive it.
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/metrics.h"
#include "common/status.h"
#include "common/thread.h"
#include "control-plane/kube/kube_api.h"
#include "control-plane/options.h"
#include "control-plane/webhook/admission_server.h"
#include "control-plane/webhook/certificate_keeper.h"

namespace cp {

class Injector {
 public:
  Injector(const Options& options, KubeApi& api, const common::Clock& clock, common::Log& log,
           common::Metrics& metrics);
  ~Injector();
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  common::Status Start();
  // OK once reviews can be answered.
  common::Status ready() const { return server_.ready(); }

 private:
  // Asks the API server how old it is until it answers, then now and again: it may be upgraded.
  void FollowVersion();
  InjectSettings Settings(std::uint64_t minor) const;

  const Options& options_;
  KubeApi& api_;
  common::Log& log_;
  AdmissionServer server_;
  CertificateKeeper keeper_;
  common::Mailbox<int> stop_{1};
  common::Thread version_;
};

// N of version 1.N that the answer of /version tells; beyond all of them for 2 and newer.
// INVALID_ARGUMENT: not understood.
common::StatusOr<std::uint64_t> ServerMinor(const nlohmann::json& version);
// "a.b.svc:1,[::1]:2" → a.b.svc, a.b.svc.cluster.local, ::1
std::vector<std::string> CertificateNames(const std::string& addresses);

}  // namespace cp
