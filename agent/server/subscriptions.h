// Subscriptions: which clients listen to which change notices.
//
// Thread: the loop, but for any() and subscribers().  Lifetime: a subscriber removes itself before
// it goes. Channels are those of Redis' keyspace notifications: "__keyspace@0__:<dataset>/<key>"
// with the event as message, and "__keyevent@0__:<event>" with the key as message. Events: set,
// del, and "replaced" with the key "<dataset>/" when a whole copy was replaced and any of its keys
// may differ.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

namespace agent {

inline constexpr std::string_view kKeyspaceChannel = "__keyspace@0__:";
inline constexpr std::string_view kKeyeventChannel = "__keyevent@0__:";

class Subscriber {
 public:
  Subscriber() = default;
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;
  virtual ~Subscriber() = default;
  virtual void OnMessage(std::string_view channel, std::string_view message) = 0;
  virtual void OnPatternMessage(std::string_view pattern, std::string_view channel,
                                std::string_view message) = 0;
};

class Subscriptions {
 public:
  // False: it was so already.
  bool Add(const std::string& channel, Subscriber& subscriber);
  bool Remove(const std::string& channel, Subscriber& subscriber);
  bool AddPattern(const std::string& pattern, Subscriber& subscriber);
  bool RemovePattern(const std::string& pattern, Subscriber& subscriber);
  // From any thread; true before the first subscription is confirmed.
  bool any() const { return subscribers() > 0; }
  // How many clients listen to something; from any thread.
  std::size_t subscribers() const { return count_.load(std::memory_order_acquire); }

  // Tells everyone concerned; returns how many messages that made.
  std::size_t Publish(std::string_view event, std::string_view key);
  // As Publish, for a dataset of which any key may have changed: besides "replaced", everyone who
  // listens to single keys of it is told whether each is there (`exists`).
  std::size_t PublishReplaced(const std::string& dataset,
                              const std::function<bool(std::string_view key)>& exists);
  // Every subscriber once.
  std::set<Subscriber*> Everyone() const;

 private:
  using Map = std::map<std::string, std::set<Subscriber*>, std::less<>>;
  bool AddTo(Map& map, const std::string& name, Subscriber& subscriber);
  bool RemoveFrom(Map& map, const std::string& name, Subscriber& subscriber);
  std::size_t PublishTo(const std::string& channel, std::string_view message);

  Map channels_;
  Map patterns_;
  std::unordered_map<Subscriber*, std::size_t> names_;  // how many each listens to
  std::atomic<std::size_t> count_{0};                   // of names_
};

}  // namespace agent
