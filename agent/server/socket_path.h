// The socket file: what must be true of a path before a server may bind it.
//
// Thread: any.  Lifetime: function.
#pragma once

#include <string>

#include "common/status.h"

namespace agent {

// Removes a socket file that nobody listens on; makes missing parent directories (0755).
// INVALID_ARGUMENT: too long for a Unix socket, or something that is not a socket is there (it is
// left alone). FAILED_PRECONDITION: a live process listens there.
common::Status PrepareSocketPath(const std::string& path);

}  // namespace agent
