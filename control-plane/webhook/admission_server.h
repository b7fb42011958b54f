// AdmissionServer: the two webhooks over HTTPS.
//
// Thread: construct, Start, Stop from main; SetCertificate and SetSettings from any; requests are
// answered on the server's own threads.  Lifetime: log and metrics outlive it.
// POST /inject and /validate. Each connection carries one request: a server whose threads wait on
// idle connections would keep the next review waiting. The certificate of a connection is the one
// that was set last; until one is, handshakes fail and ready() says so.
#pragma once

#include <memory>
#include <string>

#include "common/log.h"
#include "common/metrics.h"
#include "common/status.h"
#include "control-plane/webhook/inject.h"
#include "control-plane/webhook/pki.h"

namespace cp {

class AdmissionServer {
 public:
  AdmissionServer(common::Log& log, common::Metrics& metrics);
  ~AdmissionServer();  // stops
  AdmissionServer(const AdmissionServer&) = delete;
  AdmissionServer& operator=(const AdmissionServer&) = delete;

  // INVALID_ARGUMENT: certificate and key are unreadable or do not match; the former ones stay.
  common::Status SetCertificate(const KeyPair& pair);
  void SetSettings(InjectSettings settings);

  // UNAVAILABLE: cannot listen there.
  common::Status Start(const std::string& listen);
  void Stop();
  // OK once reviews can be answered.
  common::Status ready() const;
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cp
