// Counter: a number that one thread counts and any may read.
//
// Thread: Add and Subtract by its owner only, Get from any.  Lifetime: a value.
// A relaxed atomic with one writer, so counting costs no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace agent {

class Counter {
 public:
  void Add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void Subtract(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
  }
  void Set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace agent
