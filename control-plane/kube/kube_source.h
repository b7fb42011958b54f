// KubeSource: declarations from a cluster into the catalog, and their state back to the cluster.
//
// Thread: owns "kube"; construct, Start and destroy from main.  Lifetime: api, store, committer,
// clock and log outlive it; `hub` is called on its thread and must answer within seconds.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/metrics.h"
#include "control-plane/kube/declaration_sync.h"
#include "control-plane/kube/kube_api.h"
#include "control-plane/kube/mirror.h"
#include "control-plane/store/committer.h"

namespace cp {

struct KubeSourceOptions {
  MirrorOptions mirror = {};
  std::chrono::milliseconds status_interval{2'000};  // between two rounds of status patches
  std::size_t patches_max = 50;                      // of one round
};

class KubeSource {
 public:
  KubeSource(KubeSourceOptions options, KubeApi& api, const Store& store, Committer& committer,
             std::function<HubStatus()> hub, const common::Clock& clock, common::Log& log,
             common::Metrics& metrics);
  ~KubeSource();
  KubeSource(const KubeSource&) = delete;
  KubeSource& operator=(const KubeSource&) = delete;

  void Start();

 private:
  void Run();
  // Makes the catalog what the objects say; waits for the commits.
  void Apply();
  common::Status Submit(DeclarationChange change);
  void WriteStatuses();

  const KubeSourceOptions options_;
  KubeApi& api_;
  const Store& store_;
  Committer& committer_;
  const std::function<HubStatus()> hub_;
  const common::Clock& clock_;
  common::Log& log_;
  common::Gauge& objects_;
  common::Gauge& refused_;
  common::Counter& patches_;
  common::Counter& failures_;

  DeclarationSync sync_;
  KubeMailbox mailbox_;
  std::vector<std::unique_ptr<Mirror>> mirrors_;
  common::Thread thread_;
};

// "2026-11-25T10:08:15Z"
std::string Rfc3339(std::int64_t unix_ms);

}  // namespace cp
