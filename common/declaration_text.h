// The texts inside declarations: names of choices, the staleness bound, and rules for names that
// only declarations have.
//
// Thread: any.  Lifetime: constants and pure functions.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "common/declarations.h"
#include "common/status.h"

namespace common {

inline constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes = {
    {{"replicate", Mode::kReplicate},
     {"onDemand", Mode::kOnDemand},
     {"readThrough", Mode::kReadThrough}}};
inline constexpr std::array<std::pair<std::string_view, ConsistencyLevel>, 3> kLevels = {
    {{"eventual", ConsistencyLevel::kEventual},
     {"bounded", ConsistencyLevel::kBounded},
     {"strong", ConsistencyLevel::kStrong}}};
inline constexpr std::array<std::pair<std::string_view, OnStale>, 3> kOnStales = {
    {{"serve", OnStale::kServe},
     {"readThrough", OnStale::kReadThrough},
     {"error", OnStale::kError}}};

// A duration of more than zero and at most kMaxStalenessMax.
StatusOr<std::chrono::milliseconds> ParseMaxStaleness(std::string_view text);

// metadata.name: as a dataset's name. metadata.namespace: one DNS label.
Status ValidateObjectName(std::string_view name);
Status ValidateNamespace(std::string_view name);
// A key prefix: UTF-8 (it travels in a protobuf string), at most a key's length; empty is none.
Status ValidatePrefix(std::string_view prefix);

}  // namespace common
