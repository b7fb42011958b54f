// PrefetchedKeys: keys, as clients name them, that are read next, and where their entries lie.
//
// Thread: the loop.  Lifetime: those fetched belong to the snapshot and to the bytes of the keys.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "agent/cache/cache.h"

namespace agent {

class PrefetchedKeys {
 public:
  // Of the first kPrefetchedKeysMax.
  void Fetch(const Reader& reader, std::span<const std::string_view> client_keys);
  // REQUIRES: `index` is that of a key of the last Fetch.
  const PrefetchedKey& operator[](std::size_t index) const { return keys_[index]; }

 private:
  std::array<PrefetchedKey, kPrefetchedKeysMax> keys_;
};

}  // namespace agent
