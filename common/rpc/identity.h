// Identity: which service is at the other end of a call.
//
// Thread: any.  Lifetime: pure functions over what is passed.
// With TLS the client certificate proves it: a SPIFFE ID spiffe://<domain>/ns/<ns>/sa/<sa> is the
// service <sa>.<ns>, else the first DNS name in the certificate that is a service name. Without TLS
// nothing is proven and the metadata key "tributary-service" is believed. In Kubernetes a call may
// bring a token instead of a certificate (token.h).
#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/rpc/token.h"
#include "common/status.h"

namespace common {

inline constexpr const char* kServiceMetadataKey = "tributary-service";

// Absent: not of that form, or the result would not be a service name.
std::optional<std::string> ServiceOfSpiffe(std::string_view uri);

// Empty: the peer has proven none.
std::string PeerIdentity(const grpc::AuthContext& context);

struct Trust {
  enum Source {
    kCertificates,  // TLS: UNAUTHENTICATED unless proven; metadata that claims another is refused
    kMetadata,      // --insecure: UNAUTHENTICATED unless the metadata names a service
  };
  // NOLINTNEXTLINE(google-explicit-constructor): a source alone is a trust
  Trust(Source from, const TokenVerifier* verifier = nullptr) : source(from), tokens(verifier) {}

  Source source;
  const TokenVerifier* tokens;  // null: certificates only
};
// What certificate or token prove: UNAUTHENTICATED unless they do. Without TLS: "", unproven.
StatusOr<std::string> ProvenIdentity(const grpc::ServerContextBase& context, Trust trust);
StatusOr<std::string> CallIdentity(const grpc::ServerContextBase& context, Trust trust);

}  // namespace common
