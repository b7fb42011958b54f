// Credentials: TLS from files, for both ends, reloaded when the files change.
//
// Thread: main; the credentials are used from any.  Lifetime: gRPC keeps what it needs.
// The files are checked here, once, so that a start with bad ones fails with a reason; later gRPC
// looks at them every few seconds and uses new ones for new connections. While a replaced
// certificate and key do not match, the old pair stays in use.
// Make credentials once per process, not per connection: gRPC 1.51 never ends the thread that
// watches the files.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/status.h"

namespace common {

struct TlsFiles {
  std::string ca = {};                       // PEM bundle: who may sign the peer's certificate
  std::string cert = {};                     // PEM chain, own certificate first
  std::string key = {};                      // PEM
  std::string token = {};                    // client only: a file with a bearer token (token.h)
  bool client_may_lack_certificate = false;  // server only: a token will do
  std::chrono::seconds refresh{5};
};

// Clients must show a certificate signed by `ca`, unless they may lack one. INVALID_ARGUMENT names
// the missing, unreadable or mismatched file. REQUIRES: no path is empty.
StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files);

// The server's certificate must be signed by `ca` and carry the host that is dialled. `cert` and
// `key` may both be empty: the client then proves nothing.
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const TlsFiles& files);

}  // namespace common
