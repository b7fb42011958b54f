// Identity: which service is at the other end of a call.
//
// Thread: any.  Lifetime: pure functions over what is passed.
// With TLS the client certificate proves it: a SPIFFE ID spiffe://<domain>/ns/<ns>/sa/<sa> is the
// service <sa>.<ns>, else the first DNS name in the certificate that is a service name. Without TLS
// nothing is proven and the metadata key "tributary-service" is believed.
#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace common {

inline constexpr const char* kServiceMetadataKey = "tributary-service";

// Absent: not of that form, or the result would not be a service name.
std::optional<std::string> ServiceOfSpiffe(std::string_view uri);

// Empty: the peer has proven none.
std::string PeerIdentity(const grpc::AuthContext& context);

enum class Trust {
  kCertificates,  // TLS: UNAUTHENTICATED unless proven; metadata that claims another is refused
  kMetadata,      // --insecure: UNAUTHENTICATED unless the metadata names a service
};
StatusOr<std::string> CallIdentity(const grpc::ServerContextBase& context, Trust trust);

}  // namespace common
