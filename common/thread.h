// Thread: a named thread that joins in its destructor. ThreadChecker: "am I on my owner?"
//
// Thread: create and destroy from the owner.  Lifetime: the body must end on its own once its
// mailbox is closed; the destructor waits for it.
#pragma once

#include <pthread.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace common {

class Thread {
 public:
  Thread() = default;
  // `name`: at most 15 bytes, shown by ps -L and perf.
  Thread(const std::string& name, std::function<void()> body)
      : thread_([name, run = std::move(body)] {
          pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
          run();
        }) {}
  ~Thread() { Join(); }
  Thread(const Thread&) = delete;
  Thread(Thread&&) noexcept = default;
  Thread& operator=(const Thread&) = delete;
  Thread& operator=(Thread&& other) noexcept {
    Join();
    thread_ = std::move(other.thread_);
    return *this;
  }

  void Join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

// Bound to the first thread that asks.
class ThreadChecker {
 public:
  [[nodiscard]] bool OnOwner() const {
    if (owner_ == std::thread::id()) owner_ = std::this_thread::get_id();
    return owner_ == std::this_thread::get_id();
  }
  void Detach() { owner_ = std::thread::id(); }

 private:
  mutable std::thread::id owner_;
};

}  // namespace common
