// Loopback: does an address stay on this host?
//
// Thread: any.  Lifetime: pure.
#pragma once

#include <string_view>

namespace common {

// `address`: HOST:PORT or unix:PATH. True for localhost, 127.0.0.0/8, [::1] and Unix sockets; false
// for anything else, names that resolve to a loopback address included.
bool IsLoopbackAddress(std::string_view address);

}  // namespace common
