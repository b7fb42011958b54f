#include "agent/server/redirect_inbox.h"

namespace agent {

void RedirectInbox::AddKey(Keys& keys, std::optional<std::string_view> key) {
  if (!keys) return;
  if (key && keys_ < keys_max_) {
    keys->emplace_back(*key);
    ++keys_;
    return;
  }
  keys_ -= keys->size();
  keys.reset();
}

void RedirectInbox::Add(std::uint64_t client, std::optional<std::string_view> key) {
  bool first = false;
  {
    common::MutexLock lock(mutex_);
    first = waiting_.empty();
    AddKey(waiting_.try_emplace(client, std::in_place).first->second, key);
  }
  if (first) wake_();
}

std::map<std::uint64_t, RedirectInbox::Keys> RedirectInbox::TakeAll() {
  common::MutexLock lock(mutex_);
  keys_ = 0;
  return std::exchange(waiting_, {});
}

}  // namespace agent
