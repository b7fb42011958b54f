#include "agent/server/subscriptions.h"

#include <fmt/format.h>

#include "common/names.h"

namespace agent {

bool Subscriptions::AddTo(Map& map, const std::string& name, Subscriber& subscriber) {
  if (!map[name].insert(&subscriber).second) return false;
  ++names_[&subscriber];
  count_.store(names_.size(), std::memory_order_release);
  return true;
}

bool Subscriptions::RemoveFrom(Map& map, const std::string& name, Subscriber& subscriber) {
  const auto found = map.find(name);
  if (found == map.end() || found->second.erase(&subscriber) == 0) return false;
  if (found->second.empty()) map.erase(found);
  if (--names_.at(&subscriber) == 0) names_.erase(&subscriber);
  count_.store(names_.size(), std::memory_order_release);
  return true;
}

bool Subscriptions::Add(const std::string& channel, Subscriber& subscriber) {
  return AddTo(channels_, channel, subscriber);
}
bool Subscriptions::Remove(const std::string& channel, Subscriber& subscriber) {
  return RemoveFrom(channels_, channel, subscriber);
}
bool Subscriptions::AddPattern(const std::string& pattern, Subscriber& subscriber) {
  return AddTo(patterns_, pattern, subscriber);
}
bool Subscriptions::RemovePattern(const std::string& pattern, Subscriber& subscriber) {
  return RemoveFrom(patterns_, pattern, subscriber);
}

std::size_t Subscriptions::PublishTo(const std::string& channel, std::string_view message) {
  std::size_t count = 0;
  if (const auto found = channels_.find(channel); found != channels_.end()) {
    for (Subscriber* subscriber : found->second) subscriber->OnMessage(channel, message);
    count += found->second.size();
  }
  for (const auto& [pattern, subscribers] : patterns_) {
    if (!common::GlobMatch(pattern, channel)) continue;
    for (Subscriber* subscriber : subscribers) {
      subscriber->OnPatternMessage(pattern, channel, message);
    }
    count += subscribers.size();
  }
  return count;
}

std::size_t Subscriptions::Publish(std::string_view event, std::string_view key) {
  return PublishTo(fmt::format("{}{}", kKeyspaceChannel, key), event) +
         PublishTo(fmt::format("{}{}", kKeyeventChannel, event), key);
}

std::size_t Subscriptions::PublishReplaced(
    const std::string& dataset, const std::function<bool(std::string_view key)>& exists) {
  const std::string begin = fmt::format("{}{}/", kKeyspaceChannel, dataset);
  std::size_t count = Publish("replaced", fmt::format("{}/", dataset));
  for (auto at = channels_.upper_bound(begin);
       at != channels_.end() && at->first.starts_with(begin); ++at) {
    const std::string_view event =
        exists(std::string_view(at->first).substr(begin.size())) ? "set" : "del";
    for (Subscriber* subscriber : at->second) subscriber->OnMessage(at->first, event);
    count += at->second.size();
  }
  return count;
}

std::set<Subscriber*> Subscriptions::Everyone() const {
  std::set<Subscriber*> everyone;
  for (const Map* map : {&channels_, &patterns_}) {
    for (const auto& [name, subscribers] : *map) {
      everyone.insert(subscribers.begin(), subscribers.end());
    }
  }
  return everyone;
}

}  // namespace agent
