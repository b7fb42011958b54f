// Packed responses: the fields of a delta response deflated as one, which carries a catch-up in
// half the bytes: names, versions and type URLs of its entries are nearly equal.
//
// Thread: any.  Lifetime: pure functions over values.
// A packed response begins with an extra field; only who said that it knows it is sent one
// (docs/protocol.md, "Packed responses").
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/delta_codec.h"
#include "common/status.h"

namespace common {

inline constexpr std::string_view kPackedFeature = "tributary.packed.v1";
// Below, nothing is gained that matters.
inline constexpr std::size_t kPackBytesMin = 4096;

// `fields` of a response as one packed field; absent: they do not become much smaller.
std::optional<std::string> Pack(std::string_view fields);

// `response` as it would be unpacked; null: it is not packed.
StatusOr<std::shared_ptr<const std::string>> Unpack(std::string_view response);

// Decodes a response, packed or not; `bytes` becomes what `view` points into.
Status UnpackAndDecode(std::shared_ptr<const std::string>& bytes, DeltaResponseView& view);

}  // namespace common
