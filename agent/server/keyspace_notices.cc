#include "agent/server/keyspace_notices.h"

#include <utility>

namespace agent {
namespace {

constexpr std::size_t kNoticesMax = 256;  // commits; each holds at most a batch's keys

}  // namespace

KeyspaceNotices::KeyspaceNotices(Subscriptions& subscriptions, std::function<void()> wake)
    : subscriptions_(subscriptions), mailbox_(kNoticesMax, std::move(wake)) {}

void KeyspaceNotices::Post(Notice notice) {
  if (!mailbox_.Post(std::move(notice))) lost_.store(true, std::memory_order_release);
}

void KeyspaceNotices::OnChanged(std::vector<ChangedKey> keys) {
  if (Wants() && !keys.empty()) Post(std::move(keys));
}

void KeyspaceNotices::OnReplaced(const std::string& dataset) {
  if (Wants()) Post(dataset);
}

KeyspaceNotices::Delivery KeyspaceNotices::Deliver(const Exists& exists) {
  Delivery delivery;
  for (const Notice& notice : mailbox_.TakeAll()) {
    if (const auto* dataset = std::get_if<std::string>(&notice)) {
      delivery.messages += subscriptions_.PublishReplaced(
          *dataset, [&](std::string_view key) { return exists(*dataset, key); });
      continue;
    }
    for (const ChangedKey& changed : std::get<std::vector<ChangedKey>>(notice)) {
      delivery.messages += subscriptions_.Publish(changed.deleted ? "del" : "set", changed.key);
    }
  }
  delivery.lost = lost_.exchange(false, std::memory_order_acq_rel);
  return delivery;
}

}  // namespace agent
