#include "agent/xds/subscription.h"

namespace agent {
namespace {

// Of 100 bytes each it is well below every server's limit.
constexpr std::size_t kNamesPerRequestMax = 20'000;

}  // namespace

void DeltaSubscription::Want(const std::string& name) {
  const auto [it, added] = names_.try_emplace(name);
  if (!added && it->second.wanted) return;
  it->second.wanted = true;
  it->second.ask = !added;
  dirty_.insert(name);
}

void DeltaSubscription::Drop(const std::string& name) {
  const auto it = names_.find(name);
  if (it == names_.end()) return;
  if (it->second.subscribed) {
    it->second = Name{.wanted = false, .subscribed = true, .asked_at = {}};
    dirty_.insert(name);
  } else {
    names_.erase(it);
    dirty_.erase(name);
  }
}

void DeltaSubscription::Ask(const std::string& name) {
  const auto it = names_.find(name);
  if (it == names_.end() || !it->second.wanted) return;
  it->second.ask = true;
  dirty_.insert(name);
}

void DeltaSubscription::Restart(const std::string& name) {
  const auto it = names_.find(name);
  if (it == names_.end() || !it->second.wanted) return;
  it->second.restart = true;
  dirty_.insert(name);
}

bool DeltaSubscription::wants(std::string_view name) const {
  const auto it = names_.find(name);
  return it != names_.end() && it->second.wanted;
}

void DeltaSubscription::OnStreamOpened() {
  opened_ = false;
  dirty_.clear();
  questions_.clear();
  for (auto it = names_.begin(); it != names_.end();) {
    if (!it->second.wanted) {
      it = names_.erase(it);
      continue;
    }
    it->second = Name{};
    dirty_.insert(it->first);
    ++it;
  }
}

bool DeltaSubscription::TakeSubscribe(const std::string& text, Name& name,
                                      common::MonotonicTime now) {
  if (!name.wanted || name.restart || (name.subscribed && !name.ask)) return false;
  name.subscribed = true;
  name.ask = false;
  name.told_overdue = false;
  if (name.asked_at) return true;
  name.asked_at = now;
  questions_.emplace_back(now, text);
  return true;
}

std::optional<common::DeltaRequest> DeltaSubscription::Next(common::MonotonicTime now) {
  common::DeltaRequest request;
  request.type_url = type_url_;
  std::vector<std::string> again;
  std::size_t names = 0;
  while (!dirty_.empty() && names < kNamesPerRequestMax) {
    const std::string text = std::move(dirty_.extract(dirty_.begin()).value());
    Name& name = names_.at(text);
    if (!opened_) name.restart = false;  // a new stream starts from nothing by itself
    if (TakeSubscribe(text, name, now)) request.subscribe.push_back(text);
    if (name.restart && name.subscribed) {
      request.unsubscribe.push_back(text);
      name = Name{};  // the next request subscribes it
      again.push_back(text);
    } else if (name.restart) {
      name.restart = false;  // not subscribed yet: nothing to restart
      again.push_back(text);
    } else if (!name.wanted) {
      request.unsubscribe.push_back(text);
      names_.erase(text);
    }
    names = request.subscribe.size() + request.unsubscribe.size();
  }
  for (std::string& text : again) dirty_.insert(std::move(text));
  if (names != 0) {
    opened_ = true;
    return request;
  }
  if (dirty_.empty()) return std::nullopt;
  return Next(now);
}

void DeltaSubscription::OnAnswer(std::string_view name) {
  const auto it = names_.find(name);
  if (it == names_.end()) return;
  it->second.asked_at.reset();
}

std::vector<std::string> DeltaSubscription::TakeOverdue(common::MonotonicTime now,
                                                        std::chrono::milliseconds timeout) {
  std::vector<std::string> overdue;
  while (!questions_.empty() && now - questions_.front().first >= timeout) {
    const auto it = names_.find(questions_.front().second);
    if (it != names_.end() && it->second.asked_at == questions_.front().first &&
        !it->second.told_overdue) {
      it->second.told_overdue = true;
      overdue.push_back(it->first);
    }
    questions_.pop_front();
  }
  return overdue;
}

std::optional<common::MonotonicTime> DeltaSubscription::asked_at(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? std::nullopt : it->second.asked_at;
}

}  // namespace agent
