// What every bench stores: key i and its value, the same for us and for the peers.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

inline constexpr const char* kDataset = "bench";

// 16 bytes; key order is order of `i`.
inline std::string KeyOf(std::uint64_t i) { return fmt::format("key:{:012}", i); }
// As a Redis client says it.
inline std::string FullKeyOf(std::uint64_t i) { return fmt::format("{}/{}", kDataset, KeyOf(i)); }

// Printable; different for every key and round.
inline std::string ValueOf(std::uint64_t i, std::size_t bytes, std::uint64_t round = 0) {
  std::string value;
  value.reserve(bytes + 16);
  std::uint64_t state = (i + 1) * 0x9E3779B97F4A7C15ULL ^ (round * 0xD1B54A32D192ED03ULL);
  while (value.size() < bytes) {
    state ^= state >> 27;
    state *= 0x94D049BB133111EBULL;
    state ^= state >> 31;
    fmt::format_to(std::back_inserter(value), "{:016x}", state);
  }
  value.resize(bytes);
  return value;
}

}  // namespace bench
