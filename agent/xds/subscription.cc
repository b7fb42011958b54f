#include "agent/xds/subscription.h"

namespace agent {

void DeltaSubscription::Want(const std::string& name) {
  const auto [it, added] = names_.try_emplace(name);
  if (added || it->second.wanted) return;
  it->second.wanted = true;
  it->second.ask = true;
}

void DeltaSubscription::Drop(const std::string& name) {
  const auto it = names_.find(name);
  if (it == names_.end()) return;
  if (it->second.subscribed) {
    it->second = Name{.wanted = false, .subscribed = true, .asked_at = {}};
  } else {
    names_.erase(it);
  }
}

void DeltaSubscription::Ask(const std::string& name) {
  const auto it = names_.find(name);
  if (it != names_.end() && it->second.wanted) it->second.ask = true;
}

void DeltaSubscription::Restart(const std::string& name) {
  const auto it = names_.find(name);
  if (it != names_.end() && it->second.wanted) it->second.restart = true;
}

bool DeltaSubscription::wants(std::string_view name) const {
  const auto it = names_.find(name);
  return it != names_.end() && it->second.wanted;
}

void DeltaSubscription::OnStreamOpened() {
  opened_ = false;
  for (auto it = names_.begin(); it != names_.end();) {
    if (!it->second.wanted) {
      it = names_.erase(it);
      continue;
    }
    it->second = Name{};
    ++it;
  }
}

bool DeltaSubscription::TakeSubscribe(Name& name, common::MonotonicTime now) const {
  if (!name.wanted || name.restart || (name.subscribed && !name.ask)) return false;
  name.subscribed = true;
  name.ask = false;
  name.told_overdue = false;
  if (!name.asked_at) name.asked_at = now;
  return true;
}

std::optional<common::DeltaRequest> DeltaSubscription::Next(common::MonotonicTime now,
                                                            const HeldVersion& held_version) {
  common::DeltaRequest request;
  request.type_url = type_url_;
  for (auto it = names_.begin(); it != names_.end();) {
    auto& [text, name] = *it;
    if (!opened_) name.restart = false;  // a new stream starts from nothing by itself
    if (TakeSubscribe(name, now)) request.subscribe.push_back(text);
    if (name.restart && name.subscribed) {
      request.unsubscribe.push_back(text);
      name = Name{};  // the next request subscribes it
    } else if (name.restart) {
      name.restart = false;
      continue;  // not subscribed yet: nothing to restart
    }
    if (name.wanted) {
      ++it;
      continue;
    }
    request.unsubscribe.push_back(text);
    it = names_.erase(it);
  }
  if (request.subscribe.empty() && request.unsubscribe.empty()) return std::nullopt;
  if (!opened_) {
    opened_ = true;
    for (const std::string& name : request.subscribe) {
      if (std::string version = held_version(name); !version.empty()) {
        request.initial_versions.emplace_back(name, std::move(version));
      }
    }
  }
  return request;
}

void DeltaSubscription::OnAnswer(std::string_view name) {
  const auto it = names_.find(name);
  if (it == names_.end()) return;
  it->second.asked_at.reset();
}

std::vector<std::string> DeltaSubscription::TakeOverdue(common::MonotonicTime now,
                                                        std::chrono::milliseconds timeout) {
  std::vector<std::string> overdue;
  for (auto& [text, name] : names_) {
    if (!name.asked_at || name.told_overdue || now - *name.asked_at < timeout) continue;
    name.told_overdue = true;
    overdue.push_back(text);
  }
  return overdue;
}

std::optional<common::MonotonicTime> DeltaSubscription::asked_at(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? std::nullopt : it->second.asked_at;
}

}  // namespace agent
