#include "common/digest.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace common {

Digest EntryHash(std::string_view key, const Version& version, std::string_view value) {
  // The epoch has 48 bits; rotating it keeps revisions and epochs from cancelling out.
  const std::uint64_t version_seed = version.revision ^ (version.epoch << 16 | version.epoch >> 32);
  const std::uint64_t seed = XXH3_64bits_withSeed(key.data(), key.size(), version_seed);
  const XXH128_hash_t hash = XXH3_128bits_withSeed(value.data(), value.size(), seed);
  return {.low = hash.low64, .high = hash.high64};
}

std::string FormatDigest(const Digest& digest) {
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

}  // namespace common
