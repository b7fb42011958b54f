// Mailbox: the one way a message crosses threads. Many producers, one consumer.
//
// Thread: Post from any; TakeAll and WaitAll from the consumer only.
// Lifetime: outlives every producer; `wake` (uv_async_send, or nothing when the consumer blocks in
// WaitAll) is called without the lock and must be callable from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "common/mutex.h"

namespace common {

template <class T>
class Mailbox {
 public:
  explicit Mailbox(std::size_t messages_max, std::function<void()> wake = {})
      : messages_max_(messages_max), wake_(std::move(wake)) {}

  // False when `messages_max` messages wait or the mailbox is closed; the message is not taken and
  // the producer must back off or refuse its own caller.
  [[nodiscard]] bool Post(T message) TSA_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      if (closed_ || messages_.size() >= messages_max_) return false;
      messages_.push_back(std::move(message));
      if (messages_.size() > 1) return true;  // the consumer has been woken already
    }
    condition_.NotifyOne();
    if (wake_) wake_();
    return true;
  }

  // Everything that waits, in order of posting; empty when nothing does.
  std::vector<T> TakeAll() TSA_EXCLUDES(mutex_) {
    std::vector<T> taken;
    MutexLock lock(mutex_);
    taken.swap(messages_);
    return taken;
  }

  // As TakeAll, but blocks until there is a message, the mailbox is closed, or `timeout` passed.
  std::vector<T> WaitAll(std::chrono::nanoseconds timeout) TSA_EXCLUDES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::vector<T> taken;
    MutexLock lock(mutex_);
    while (messages_.empty() && !closed_) {
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds::zero()) break;
      condition_.WaitFor(mutex_, left);
    }
    taken.swap(messages_);
    return taken;
  }

  // Refuses all further posts and wakes the consumer; what waits can still be taken.
  void Close() TSA_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      closed_ = true;
    }
    condition_.NotifyOne();
    if (wake_) wake_();
  }

  bool closed() TSA_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return closed_;
  }

 private:
  const std::size_t messages_max_;
  const std::function<void()> wake_;
  Mutex mutex_;
  CondVar condition_;
  std::vector<T> messages_ TSA_GUARDED_BY(mutex_);
  bool closed_ TSA_GUARDED_BY(mutex_) = false;
};

}  // namespace common
