// CertificateKeeper: certificates in the cluster – made, renewed, published – and the namespaces
// that need the authority's.
//
// Thread: owns "certificates"; construct, Start, destroy from main.  Lifetime: what is passed in
// outlives it.
// Every replica does the same work against the same Secret; a write that comes second fails by its
// resource version, and its writer reads again. So all replicas serve certificates of one
// authority, and none leads.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "control-plane/kube/kube_api.h"
#include "control-plane/kube/mirror.h"
#include "control-plane/webhook/admission_server.h"
#include "control-plane/webhook/pki.h"

namespace cp {

// Files of another's making (cert-manager) instead of an authority of our own.
struct CertificateFiles {
  std::string certificate, key, authority;
  bool empty() const { return certificate.empty(); }
};

struct CertificateKeeperOptions {
  std::string system_namespace = "tributary-system";
  PkiOptions pki = {};
  CertificateFiles files = {};
  MirrorOptions mirror = {};
  std::chrono::milliseconds interval{15'000};
  std::chrono::milliseconds retry{1'000};
};

// Names of the objects that it keeps.
inline constexpr const char* kPkiSecret = "tributary-pki";
inline constexpr const char* kServerSecret = "tributary-server-tls";
inline constexpr const char* kMutatingWebhook = "tributary-injector";
inline constexpr const char* kValidatingWebhook = "tributary-declarations";

class CertificateKeeper {
 public:
  CertificateKeeper(CertificateKeeperOptions options, KubeApi& api, AdmissionServer& server,
                    const common::Clock& clock, common::Log& log, common::Metrics& metrics);
  ~CertificateKeeper();
  CertificateKeeper(const CertificateKeeper&) = delete;
  CertificateKeeper& operator=(const CertificateKeeper&) = delete;

  void Start();
  // One round of all work; the first fault. Public for tests.
  common::Status Round();

 private:
  void Run();
  void OnNamespaces(const std::vector<KubeEvent>& events);
  common::Status Load();
  common::StatusOr<Pki> LoadPki();
  common::Status KeepServerSecret(const Pki& pki);
  common::Status KeepWebhook(const char* kind, const char* name);
  common::Status KeepConfigMap(const std::string& space);

  const CertificateKeeperOptions options_;
  KubeApi& api_;
  AdmissionServer& server_;
  const common::Clock& clock_;
  common::Log& log_;
  common::Gauge& expiry_;
  common::Gauge& authority_expiry_;
  common::Counter& failures_;

  std::string bundle_;
  KeyPair served_;
  std::set<std::string> namespaces_;
  KubeMailbox mailbox_;
  std::unique_ptr<Mirror> mirror_;
  common::Thread thread_;
};

}  // namespace cp
