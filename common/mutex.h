// Mutex, MutexLock, CondVar: std::mutex with clang's thread-safety annotations.
//
// absl::Mutex is not used: Debian's build of it is not instrumented and confuses TSan.
// Only Mailbox, stream write slots and small tables that threads share may lock; never call out
// while holding one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define TRIBUTARY_TSA(x) __attribute__((x))
#else
#define TRIBUTARY_TSA(x)
#endif
#define TSA_GUARDED_BY(x) TRIBUTARY_TSA(guarded_by(x))
#define TSA_REQUIRES(x) TRIBUTARY_TSA(requires_capability(x))
#define TSA_EXCLUDES(x) TRIBUTARY_TSA(locks_excluded(x))

namespace common {

class TRIBUTARY_TSA(capability("mutex")) Mutex {
 public:
  void Lock() TRIBUTARY_TSA(acquire_capability()) { mutex_.lock(); }
  void Unlock() TRIBUTARY_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class TRIBUTARY_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TRIBUTARY_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() TRIBUTARY_TSA(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  // REQUIRES: `mutex` is held. Spurious wake-ups happen; loop on the condition.
  void Wait(Mutex& mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when `timeout` passed first.
  bool WaitFor(Mutex& mutex, std::chrono::nanoseconds timeout) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
#if defined(__SANITIZE_THREAD__)
    // By the system clock: TSan of g++ 12 does not know pthread_cond_clockwait.
    const auto until = std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::microseconds>(timeout);
    const bool woken = condition_.wait_until(lock, until) == std::cv_status::no_timeout;
#else
    const bool woken = condition_.wait_for(lock, timeout) == std::cv_status::no_timeout;
#endif
    lock.release();
    return woken;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace common
