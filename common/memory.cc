#include "common/memory.h"

#include <malloc.h>

namespace common {

void KeepLargeBlocks() {
  constexpr int kMappedBytes = 32 << 20;  // the greatest that glibc takes
  // NOLINTNEXTLINE(concurrency-mt-unsafe): called before there are threads
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
}

}  // namespace common
