// Token: bearer tokens as a proof of identity, beside client certificates.
//
// Thread: any.  Lifetime: a verifier outlives the server that asks it.
// The client reads its token from a file for each call, since the kubelet replaces it. The server
// asks a TokenVerifier before the call's handler runs, on a thread that may block; the handler then
// finds the answer remembered (identity.h). gRPC's own place for such an answer, the AuthContext,
// is shared by all calls of a connection and not made for concurrent calls.
#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/credentials.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "common/token_verifier.h"

namespace common {

inline constexpr const char* kAuthorizationKey = "authorization";
inline constexpr std::string_view kBearer = "Bearer ";

// Absent: no token is given. UNAUTHENTICATED: more than one, or not "Bearer <token>".
using CallMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;
StatusOr<std::optional<std::string>> TokenOf(const CallMetadata& metadata);

// Refuses calls whose token proves nothing; calls without one pass.
std::shared_ptr<grpc::AuthMetadataProcessor> CheckTokensBy(TokenVerifier& verifier);

// Sends what `file` holds at the time of each call. A file that cannot be read fails the call with
// UNAVAILABLE: it may come. INVALID_ARGUMENT: cannot be read now.
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> WithTokenFile(
    const std::shared_ptr<grpc::ChannelCredentials>& channel, const std::string& file);

}  // namespace common
