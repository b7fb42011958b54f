// Times to live of the resources in a response. They are rare, so the codec does not carry them.
//
// Thread: any.  Lifetime: pure; keys point into the response.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace agent {

// By where a resource's name lies in the response: milliseconds, 0 or more. A malformed one is 0.
using Ttls = std::unordered_map<const char*, std::int64_t>;
// `response`: an encoded DeltaDiscoveryResponse that has been decoded without a fault.
Ttls FindTtls(std::string_view response);

}  // namespace agent
