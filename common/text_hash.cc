#include "common/text_hash.h"

#include <xxhash.h>

#include <random>

namespace common {

std::size_t TextHash::operator()(std::string_view text) const {
  static const std::uint64_t seed = [] {
    std::random_device random;
    return (std::uint64_t{random()} << 32) | random();
  }();
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace common
