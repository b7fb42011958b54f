#include "agent/xds/response_check.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "common/names.h"

namespace agent {

using common::DeltaResponseView;
using common::ResourceView;

namespace {

// Duplicates among the names, and between resources and removals. In-order names, as our own server
// sends them in loads, need no sorting.
std::optional<std::string_view> FindDuplicate(const DeltaResponseView& view) {
  std::vector<std::string_view> names;
  names.reserve(view.resources.size() + view.removed.size());
  for (const ResourceView& resource : view.resources) names.push_back(resource.name);
  for (const std::string_view removed : view.removed) names.push_back(removed);
  if (!std::ranges::is_sorted(names)) std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return std::nullopt;
  return *twice;
}

}  // namespace

std::string FindFault(const DeltaResponseView& view) {
  for (const ResourceView& resource : view.resources) {
    if (resource.has_resource && resource.type_url != common::kEntryType) {
      return fmt::format("resource '{}' is of type '{}' in a response of type '{}'", resource.name,
                         resource.type_url, view.type_url);
    }
  }
  if (const auto name = FindDuplicate(view)) {
    return fmt::format("resource '{}' occurs twice in one response", *name);
  }
  return {};
}

}  // namespace agent
