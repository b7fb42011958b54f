// AccessSketch: how often, roughly, keys of on-demand copies are read, and when last.
//
// Thread: Touch from any reader's, the rest from the writer's; relaxed atomics, nothing is ordered
// by them.  Lifetime: the Cache's. A count-min sketch of four rows of small counters that are
// halved now and then, so that old fame fades, and beside it the minute of the last read. Keys that
// share cells look more used than they are, never less: what is in use is not evicted by mistake.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <xxhash.h>

namespace agent {

class AccessSketch {
 public:
  static constexpr std::size_t kCells = 1 << 17;  // of each row
  static constexpr std::size_t kRows = 4;
  static constexpr std::uint8_t kCountMax = 255;

  static std::uint64_t Hash(std::string_view dataset, std::string_view key) {
    return XXH3_64bits_withSeed(key.data(), key.size(),
                                XXH3_64bits(dataset.data(), dataset.size()));
  }

  void Touch(std::uint64_t hash) {
    for (std::size_t row = 0; row < kRows; ++row) {
      std::atomic<std::uint8_t>& cell = (*cells_)[row][Index(hash, row)];
      const std::uint8_t count = cell.load(std::memory_order_relaxed);
      if (count < kCountMax) cell.store(count + 1, std::memory_order_relaxed);
    }
    (*last_)[Index(hash, 0)].store(tick_.load(std::memory_order_relaxed),
                                   std::memory_order_relaxed);
  }
  std::uint8_t Count(std::uint64_t hash) const {
    std::uint8_t least = kCountMax;
    for (std::size_t row = 0; row < kRows; ++row) {
      least = std::min(least, (*cells_)[row][Index(hash, row)].load(std::memory_order_relaxed));
    }
    return least;
  }
  // How many ticks ago the key was touched last.
  std::uint32_t Idle(std::uint64_t hash) const {
    return tick_.load(std::memory_order_relaxed) -
           (*last_)[Index(hash, 0)].load(std::memory_order_relaxed);
  }
  // Time goes on by one tick.
  void Tick() { tick_.fetch_add(1, std::memory_order_relaxed); }
  void Halve() {
    for (auto& row : *cells_) {
      for (std::atomic<std::uint8_t>& cell : row) {
        cell.store(cell.load(std::memory_order_relaxed) / 2, std::memory_order_relaxed);
      }
    }
  }

 private:
  static std::size_t Index(std::uint64_t hash, std::size_t row) {
    return ((hash >> 32) * (2 * row + 1) + hash * (row + 1)) % kCells;
  }
  using Row = std::array<std::atomic<std::uint8_t>, kCells>;

  std::unique_ptr<std::array<Row, kRows>> cells_ = std::make_unique<std::array<Row, kRows>>();
  std::unique_ptr<std::array<std::atomic<std::uint32_t>, kCells>> last_ =
      std::make_unique<std::array<std::atomic<std::uint32_t>, kCells>>();
  std::atomic<std::uint32_t> tick_ = 1;
};

}  // namespace agent
