// Certificate: which service our own certificate proves us to be.
//
// Thread: any.  Lifetime: pure but for reading the file.
#pragma once

#include <string>

#include "common/status.h"

namespace ctl {

// By the same rule as common/rpc/identity.h: the first SPIFFE ID of our form, else the first DNS
// name that is a service name. Empty: none. INVALID_ARGUMENT: the file holds no certificate.
common::StatusOr<std::string> CertificateIdentity(const std::string& pem_file);

}  // namespace ctl
