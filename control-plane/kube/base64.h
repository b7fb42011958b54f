// Base64: as the `data` of a Secret and a JSON patch in an AdmissionReview are written (RFC 4648).
//
// Thread: any.  Lifetime: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cp {

std::string Base64Encode(std::string_view bytes);
// Absent: not the padded standard alphabet.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace cp
