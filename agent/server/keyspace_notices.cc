#include "agent/server/keyspace_notices.h"

#include <utility>

namespace agent {
namespace {

constexpr std::size_t kNoticesMax = 256;  // commits; each holds at most a batch's keys

}  // namespace

KeyspaceNotices::KeyspaceNotices(Subscriptions& subscriptions, Tracking& tracking,
                                 const Waits& waits, std::function<void()> wake)
    : subscriptions_(subscriptions),
      tracking_(tracking),
      waits_(waits),
      wake_(std::move(wake)),
      mailbox_(kNoticesMax, wake_) {}

void KeyspaceNotices::Post(Notice notice) {
  if (!mailbox_.Post(std::move(notice))) lost_.store(true, std::memory_order_release);
}

void KeyspaceNotices::OnChanged(std::vector<ChangedKey> keys) {
  if (!Wants()) return;
  OnChangedShared(std::make_shared<const std::vector<ChangedKey>>(std::move(keys)));
}

void KeyspaceNotices::OnChangedShared(const Keys& keys) {
  if (Wants() && !keys->empty()) Post(keys);
}

void KeyspaceNotices::OnReplaced(const std::string& dataset) {
  if (Wants()) Post(dataset);
}

void KeyspaceNotices::OnApplied() {
  if (waits_.any()) wake_();
}

KeyspaceNotices::Delivery KeyspaceNotices::Deliver(const Exists& exists) {
  Delivery delivery;
  for (const Notice& notice : mailbox_.TakeAll()) {
    if (const auto* dataset = std::get_if<std::string>(&notice)) {
      tracking_.OnAllChanged();
      delivery.messages += subscriptions_.PublishReplaced(
          *dataset, [&](std::string_view key) { return exists(*dataset, key); });
      continue;
    }
    for (const ChangedKey& changed : *std::get<Keys>(notice)) {
      tracking_.OnChanged(changed.key, changed.version);
      delivery.messages += subscriptions_.Publish(changed.deleted ? "del" : "set", changed.key);
    }
  }
  delivery.lost = lost_.exchange(false, std::memory_order_acq_rel);
  if (delivery.lost) tracking_.OnAllChanged();
  return delivery;
}

}  // namespace agent
