// The one spelling of an entry's or a collection's name under which it is served.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/names.h"

namespace cp {

inline common::Collection CollectionOf(const common::EntryNameParts& parts) {
  return {.dataset = parts.dataset, .prefix = parts.prefix};
}

inline std::string CanonicalEntryName(const common::EntryNameParts& parts) {
  return parts.is_collection ? common::CollectionName(CollectionOf(parts))
                             : common::EntryName(parts.dataset, parts.key);
}

// Absent: not a name of type Entry, or spelled in another way.
inline std::optional<common::EntryNameParts> ParseCanonicalEntryName(std::string_view name) {
  std::optional<common::EntryNameParts> parts = common::ParseEntryName(name);
  if (parts && CanonicalEntryName(*parts) != name) return std::nullopt;
  return parts;
}

}  // namespace cp
