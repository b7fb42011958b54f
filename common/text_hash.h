// TextHash: lets a set or map of strings be searched by string_view; seeded anew in each process,
// so that nobody outside can choose names that collide.
//
// Thread: any.  Lifetime: value.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace common {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const;
};
using NameSet = std::unordered_set<std::string, TextHash, std::equal_to<>>;

}  // namespace common
