// StopWatcher: calls back once when SIGINT or SIGTERM comes.
//
// Thread: made and destroyed on main; the callback runs on its own thread and must only hand over.
// Lifetime: what the callback uses outlives it.
// REQUIRES: common::BlockStopSignals() ran before any other thread was started.
#pragma once

#include <atomic>
#include <functional>

#include "common/signals.h"
#include "common/thread.h"

namespace ctl {

class StopWatcher {
 public:
  explicit StopWatcher(std::function<void()> on_stop)
      : thread_("ctl-stop", [this, call = std::move(on_stop)] {
          const sigset_t set = common::StopSignals();
          constexpr timespec kLookUp{.tv_sec = 0, .tv_nsec = 50'000'000};
          while (!ended_) {
            if (sigtimedwait(&set, nullptr, &kLookUp) > 0) return call();
          }
        }) {}
  ~StopWatcher() {
    ended_ = true;
    thread_.Join();
  }
  StopWatcher(const StopWatcher&) = delete;
  StopWatcher& operator=(const StopWatcher&) = delete;

 private:
  std::atomic<bool> ended_ = false;
  common::Thread thread_;
};

}  // namespace ctl
