#include "common/rpc/identity.h"

#include <grpc/grpc_security_constants.h>

#include <memory>
#include <vector>

#include "common/names.h"
#include "common/rpc/status.h"

namespace common {
namespace {

// What `prefix` leaves of `text`; absent when it does not begin with it.
std::optional<std::string_view> After(std::string_view text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return std::nullopt;
  return text.substr(prefix.size());
}

StatusOr<std::optional<std::string>> MetadataIdentity(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto [first, last] = metadata.equal_range(kServiceMetadataKey);
  if (first == last) return std::optional<std::string>();
  if (std::next(first) != last) {
    return Error(StatusCode::kUnauthenticated, "metadata {} is given twice", kServiceMetadataKey);
  }
  return std::optional<std::string>(ToView(first->second));
}

}  // namespace

std::optional<std::string> ServiceOfSpiffe(std::string_view uri) {
  const auto rest = After(uri, "spiffe://");
  if (!rest) return std::nullopt;
  const std::size_t slash = rest->find('/');
  if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
  const auto path = After(rest->substr(slash), "/ns/");
  if (!path) return std::nullopt;
  const std::size_t ns_end = path->find('/');
  if (ns_end == std::string_view::npos) return std::nullopt;
  const std::string_view ns = path->substr(0, ns_end);
  const auto account = After(path->substr(ns_end), "/sa/");
  if (!account || account->empty()) return std::nullopt;
  // A namespace is one label; else account "a" of "b.c" would be account "a.b" of "c".
  if (ns.find('.') != std::string_view::npos) return std::nullopt;
  std::string service = fmt::format("{}.{}", *account, ns);
  if (!ValidateServiceName(service).ok()) return std::nullopt;
  return service;
}

std::string PeerIdentity(const grpc::AuthContext& context) {
  for (const grpc::string_ref& uri :
       context.FindPropertyValues(GRPC_PEER_SPIFFE_ID_PROPERTY_NAME)) {
    if (auto service = ServiceOfSpiffe(ToView(uri))) return *service;
  }
  for (const grpc::string_ref& name : context.FindPropertyValues(GRPC_PEER_DNS_PROPERTY_NAME)) {
    if (ValidateServiceName(ToView(name)).ok()) return std::string(ToView(name));
  }
  return "";
}

StatusOr<std::string> ProvenIdentity(const grpc::ServerContextBase& context, Trust trust) {
  if (trust.source == Trust::kMetadata) return std::string();
  std::string proven = PeerIdentity(*context.auth_context());
  if (!proven.empty()) return proven;
  if (trust.tokens == nullptr) {
    return Error(StatusCode::kUnauthenticated,
                 "the client certificate names no service; it needs a URI "
                 "spiffe://<domain>/ns/<namespace>/sa/<account> or a DNS name that is a service");
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> token, TokenOf(context.client_metadata()));
  if (token) return trust.tokens->Remembered(*token);
  return Error(StatusCode::kUnauthenticated,
               "neither a client certificate that names a service nor a token; agents get one by "
               "--token-file");
}

StatusOr<std::string> CallIdentity(const grpc::ServerContextBase& context, Trust trust) {
  ASSIGN_OR_RETURN(const std::optional<std::string> claimed, MetadataIdentity(context));
  if (trust.source == Trust::kMetadata) {
    if (!claimed) {
      return Error(StatusCode::kUnauthenticated,
                   "without TLS, the call must name its service in metadata {}",
                   kServiceMetadataKey);
    }
    RETURN_IF_ERROR(Annotate(ValidateServiceName(*claimed), kServiceMetadataKey));
    return *claimed;
  }
  ASSIGN_OR_RETURN(std::string proven, ProvenIdentity(context, trust));
  if (claimed && *claimed != proven) {
    return Error(StatusCode::kPermissionDenied,
                 "metadata {} says \"{}\", but the call proves \"{}\"", kServiceMetadataKey,
                 *claimed, proven);
  }
  return proven;
}

}  // namespace common
