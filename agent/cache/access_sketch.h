// AccessSketch: how often, roughly, keys of on-demand copies are read, and when last.
//
// Thread: Touch from any reader's, the rest from the writer's; relaxed atomics, nothing is ordered
// by them.  Lifetime: the Cache's. A count-min sketch of four rows of small counters that are
// halved now and then, so that old fame fades, and beside it the tick of the last read. All that
// one key needs lies in one cache line, so that a read pays for one more, not for five. Keys that
// share cells look more used than they are, never less: what is in use is not evicted by mistake.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <xxhash.h>

#include "common/status.h"

namespace agent {

class AccessSketch {
 public:
  static constexpr std::size_t kRows = 4;
  static constexpr std::uint8_t kCountMax = 255;

  static std::uint64_t Hash(std::string_view dataset, std::string_view key) {
    return XXH3_64bits_withSeed(key.data(), key.size(),
                                XXH3_64bits(dataset.data(), dataset.size()));
  }

  // Brings nearer what a Touch to come will change.
  void Prefetch(std::uint64_t hash) const { __builtin_prefetch(&BlockOf(hash), 1); }
  void Touch(std::uint64_t hash) {
    Block& block = BlockOf(hash);
    for (std::size_t row = 0; row < kRows; ++row) {
      std::atomic<std::uint8_t>& cell = block.counts[CellOf(hash, row)];
      const std::uint8_t count = cell.load(std::memory_order_relaxed);
      if (count < kCountMax) cell.store(count + 1, std::memory_order_relaxed);
    }
    block.last[LastOf(hash)].store(tick_.load(std::memory_order_relaxed),
                                   std::memory_order_relaxed);
  }
  std::uint8_t Count(std::uint64_t hash) const {
    const Block& block = BlockOf(hash);
    std::uint8_t least = kCountMax;
    for (std::size_t row = 0; row < kRows; ++row) {
      least = std::min(least, block.counts[CellOf(hash, row)].load(std::memory_order_relaxed));
    }
    return least;
  }
  // How many ticks ago the key was touched last.
  std::uint32_t Idle(std::uint64_t hash) const {
    return tick_.load(std::memory_order_relaxed) -
           BlockOf(hash).last[LastOf(hash)].load(std::memory_order_relaxed);
  }
  // Time goes on by one tick.
  void Tick() { tick_.fetch_add(1, std::memory_order_relaxed); }
  void Halve() {
    for (Block& block : *blocks_) {
      for (std::atomic<std::uint8_t>& cell : block.counts) {
        const std::uint8_t count = cell.load(std::memory_order_relaxed);
        if (count > 0) cell.store(count / 2, std::memory_order_relaxed);
      }
    }
  }

 private:
  static constexpr std::size_t kBlocks = 1 << 14;  // 1 MiB
  static constexpr std::size_t kRowCells = 12, kLasts = 4;
  struct alignas(64) Block {
    std::array<std::atomic<std::uint8_t>, kRows * kRowCells> counts;
    std::array<std::atomic<std::uint32_t>, kLasts> last;
  };
  static_assert(sizeof(Block) == 64);

  // Each takes bits of the hash that the others do not: 14, four times 8, 2.
  static std::size_t CellOf(std::uint64_t hash, std::size_t row) {
    return row * kRowCells + (((hash >> (16 + 8 * row)) & 0xff) * kRowCells >> 8);
  }
  static std::size_t LastOf(std::uint64_t hash) { return hash >> 62; }
  Block& BlockOf(std::uint64_t hash) { return (*blocks_)[hash % kBlocks]; }
  const Block& BlockOf(std::uint64_t hash) const { return (*blocks_)[hash % kBlocks]; }

  // Zeroed pages of the system's: those that no key needs cost no memory.
  using Blocks = std::array<Block, kBlocks>;
  struct Unmap {
    void operator()(Blocks* blocks) const { munmap(blocks, sizeof(Blocks)); }
  };
  static Blocks* MapBlocks() {
    void* memory =
        mmap(nullptr, sizeof(Blocks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return static_cast<Blocks*>(memory);
  }
  std::unique_ptr<Blocks, Unmap> blocks_{MapBlocks()};
  std::atomic<std::uint32_t> tick_ = 1;
};

}  // namespace agent
