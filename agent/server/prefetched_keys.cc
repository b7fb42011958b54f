#include "agent/server/prefetched_keys.h"

#include <algorithm>

namespace agent {

void PrefetchedKeys::Fetch(const Reader& reader, std::span<const std::string_view> client_keys) {
  std::array<KeyRef, kPrefetchedKeysMax> refs;
  const std::size_t count = std::min(client_keys.size(), refs.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view key = client_keys[i];
    const std::size_t slash = key.find('/');
    // No key at all belongs to no copy; who reads it says so.
    if (slash != std::string_view::npos) refs[i] = {key.substr(0, slash), key.substr(slash + 1)};
  }
  reader.Prefetch({refs.data(), count}, {keys_.data(), count});
}

}  // namespace agent
