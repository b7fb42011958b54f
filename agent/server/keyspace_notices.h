// KeyspaceNotices: carries what commits change from the sync thread to the subscribers of one loop.
//
// Thread: ChangeListener's methods on the sync thread, all others on the loop.  Lifetime: outlives
// the cache's writer; `wake` is callable from any thread.
// The queue is bounded. If the loop falls so far behind that notices must be dropped, Deliver says
// so and the subscribers are to be closed: they connect again and know that they missed something.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/cache/change_listener.h"
#include "agent/server/subscriptions.h"
#include "agent/server/tracking.h"
#include "agent/server/waits.h"
#include "common/mailbox.h"

namespace agent {

class KeyspaceNotices final : public ChangeListener {
 public:
  KeyspaceNotices(Subscriptions& subscriptions, Tracking& tracking, const Waits& waits,
                  std::function<void()> wake);

  // --- sync thread
  bool Wants() const override { return subscriptions_.any() || tracking_.any(); }
  void OnChanged(std::vector<ChangedKey> keys) override;
  void OnReplaced(const std::string& dataset) override;
  void OnApplied() override;
  // As OnChanged, for keys that several loops are told of.
  using Keys = std::shared_ptr<const std::vector<ChangedKey>>;
  void OnChangedShared(const Keys& keys);

  // --- loop
  struct Delivery {
    std::size_t messages = 0;
    bool lost = false;  // notices were dropped before this
  };
  // Publishes what has come. `exists` tells whether a dataset has a key now.
  using Exists = std::function<bool(std::string_view dataset, std::string_view key)>;
  Delivery Deliver(const Exists& exists);

 private:
  using Notice = std::variant<Keys, std::string>;  // keys, or a dataset replaced
  void Post(Notice notice);

  Subscriptions& subscriptions_;
  Tracking& tracking_;
  const Waits& waits_;
  const std::function<void()> wake_;
  common::Mailbox<Notice> mailbox_;
  std::atomic<bool> lost_{false};
};

}  // namespace agent
