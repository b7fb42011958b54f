#include "common/memory.h"

#include <malloc.h>

namespace common {

void KeepLargeBlocks() {
  constexpr int kMappedBytes = 32 << 20;  // the greatest that glibc takes
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
}

}  // namespace common
