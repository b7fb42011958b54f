// Place: where the record of an entry lay when it was read.
//
// Thread: any.  Lifetime: value; the address is of an open environment's map, and what lies there
// may be another record by now: who reads it must prove what it is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace agent {

inline constexpr std::size_t kPlacedRecordBytesMax = 4096;  // finding larger ones is not what costs

struct Place {
  const char* record = nullptr;
  std::uint32_t size = 0;   // ≤ kPlacedRecordBytesMax
  std::uint32_t check = 0;  // of the record (layout.h): tells one version of an entry from another
};

}  // namespace agent
