// RedirectInbox: invalidations that other loops have for clients of this one (CLIENT TRACKING …
// REDIRECT).
//
// Thread: Add from any, TakeAll on the loop.  Lifetime: that of the loops; `wake` is callable from
// any thread.
// Not a Mailbox, which refuses what is too much: no invalidation may be lost. Beyond `keys_max`
// keys a client is told once that everything is invalid, which is right and takes no room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/mutex.h"

namespace agent {

class RedirectInbox {
 public:
  // For one client: keys in order, each as often as it was added; absent: everything.
  using Keys = std::optional<std::vector<std::string>>;

  RedirectInbox(std::size_t keys_max, std::function<void()> wake)
      : keys_max_(keys_max), wake_(std::move(wake)) {}

  // No key: everything.
  void Add(std::uint64_t client, std::optional<std::string_view> key) TSA_EXCLUDES(mutex_);
  std::map<std::uint64_t, Keys> TakeAll() TSA_EXCLUDES(mutex_);

 private:
  void AddKey(Keys& keys, std::optional<std::string_view> key) TSA_REQUIRES(mutex_);

  const std::size_t keys_max_;
  const std::function<void()> wake_;
  common::Mutex mutex_;
  std::map<std::uint64_t, Keys> waiting_ TSA_GUARDED_BY(mutex_);  // by client
  std::size_t keys_ TSA_GUARDED_BY(mutex_) = 0;                   // of all clients
};

}  // namespace agent
