// Mirror: a thread that lists and watches one kind of objects and posts what it hears.
//
// Thread: owns its own; construct and destroy from the owner.  Lifetime: api, log and mailbox
// outlive it; stop the api (KubeApi::Stop) before, so that a watch under way ends.
// It goes on where it was after a lost connection, and lists afresh when the server has forgotten
// or the mailbox was full. Between tries it waits, longer each time, with jitter.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "common/log.h"
#include "common/mailbox.h"
#include "common/thread.h"
#include "control-plane/kube/kube_api.h"
#include "control-plane/kube/reflector.h"

namespace cp {

using KubeMailbox = common::Mailbox<KubeEvent>;

struct MirrorOptions {
  std::chrono::milliseconds backoff_min{500};
  std::chrono::milliseconds backoff_max{30'000};
};

class Mirror {
 public:
  Mirror(MirrorOptions options, Reflector reflector, KubeApi& api, KubeMailbox& mailbox,
         common::Log& log);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  // Lists taken, watches begun: for metrics and tests.
  std::uint64_t lists() const { return lists_; }
  std::uint64_t watches() const { return watches_; }

 private:
  void Run();
  common::Status List();
  common::Status Watch();
  common::Status Post(std::vector<KubeEvent> events);

  const MirrorOptions options_;
  Reflector reflector_;
  KubeApi& api_;
  KubeMailbox& mailbox_;
  common::Log& log_;
  std::atomic<std::uint64_t> lists_{0};
  std::atomic<std::uint64_t> watches_{0};
  common::Mailbox<int> stop_{1};
  common::Thread thread_;
};

}  // namespace cp
