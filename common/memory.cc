#include "common/memory.h"

#include <malloc.h>

#include "common/limits.h"

namespace common {
namespace {

constexpr std::size_t kLargeBytes = 256 * kKiB;
constexpr std::size_t kTrimBytes = 16 * kMiB;
constexpr std::chrono::seconds kTrimPause{1};

}  // namespace

void KeepLargeBlocks() {
  constexpr int kMappedBytes = 32 << 20;  // the greatest that glibc takes
  // NOLINTNEXTLINE(concurrency-mt-unsafe): called before there are threads
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
}

void UseOneHeap(std::size_t kept_bytes) {
  // NOLINTBEGIN(concurrency-mt-unsafe): called before there are threads
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(kept_bytes));
  // NOLINTEND(concurrency-mt-unsafe)
}

void HeapTrim::OnMessage(std::size_t bytes, MonotonicTime now) {
  if (bytes < kLargeBytes) return;
  bytes_ += bytes;
  last_ = now;
}

std::optional<MonotonicTime> HeapTrim::due() const {
  if (bytes_ < kTrimBytes) return std::nullopt;
  return last_ + kTrimPause;
}

void HeapTrim::Step(MonotonicTime now) {
  const std::optional<MonotonicTime> at = due();
  if (!at || now < *at) return;
  malloc_trim(0);
  bytes_ = 0;
}

}  // namespace common
