// Digest: order-free 128-bit sum over the entries of a dataset.
//
// Thread: any.  Lifetime: values.
// An entry's hash is XXH3-128 of its value, seeded by XXH3-64 of its key, seeded by its version;
// the digest is the sum of the hashes modulo 2^128, so a change costs one subtraction and one
// addition on either side.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/version.h"

namespace common {

struct Digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  Digest& operator+=(const Digest& other) {
    low += other.low;
    high += other.high + (low < other.low ? 1u : 0u);
    return *this;
  }
  Digest& operator-=(const Digest& other) {
    high -= other.high + (low < other.low ? 1u : 0u);
    low -= other.low;
    return *this;
  }
  friend bool operator==(const Digest&, const Digest&) = default;
};

Digest EntryHash(std::string_view key, const Version& version, std::string_view value);

// 32 hex digits, high half first.
std::string FormatDigest(const Digest& digest);

}  // namespace common
