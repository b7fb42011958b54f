// Objects: custom resources of an API server as declarations.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/declarations.h"
#include "common/status.h"

namespace cp {

inline constexpr const char* kGroupPath = "/apis/tributary.dev/v1alpha1";

// The declaration that `object` makes. INVALID_ARGUMENT: one line a fault, "spec.owner: …". Holds
// it to what only holds in a cluster, too: a subscription speaks for a service of its own
// namespace.
common::StatusOr<common::Declaration> DeclarationOf(const nlohmann::json& object);

}  // namespace cp
