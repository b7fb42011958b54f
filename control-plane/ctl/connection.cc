#include "control-plane/ctl/connection.h"

#include <map>
#include <utility>

#include "common/rpc/identity.h"
#include "common/rpc/status.h"
#include "control-plane/ctl/certificate.h"

namespace ctl {

using common::StatusCode;

StatusOr<std::unique_ptr<Connection>> Connection::Make(ConnectionOptions options) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!options.insecure) {
    ASSIGN_OR_RETURN(credentials, common::ClientTls(options.tls));
    if (options.service.empty() && !options.tls.cert.empty()) {
      ASSIGN_OR_RETURN(options.service, CertificateIdentity(options.tls.cert));
    }
  }
  return std::unique_ptr<Connection>(new Connection(std::move(options), std::move(credentials)));
}

Connection::Connection(ConnectionOptions options,
                       std::shared_ptr<grpc::ChannelCredentials> credentials)
    : options_(std::move(options)),
      credentials_(std::move(credentials)),
      channel_(common::DialStream(options_.address, credentials_)) {}

void Connection::Prepare(grpc::ClientContext& context, bool has_deadline) const {
  if (options_.insecure) context.AddMetadata(common::kServiceMetadataKey, options_.service);
  if (has_deadline) context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
}

Status Connection::Explain(const Status& status) const {
  switch (status.code()) {
    case StatusCode::kUnavailable:
      return common::Error(status.code(),
                           "control plane {}: {}: see that it runs and that --control-plane is its "
                           "address",
                           options_.address, common::Message(status));
    case StatusCode::kDeadlineExceeded:
      return common::Error(status.code(),
                           "control plane {} has not answered within {} ms: try again, or raise "
                           "--timeout",
                           options_.address, options_.timeout.count());
    default:
      return status;
  }
}

std::unique_ptr<common::ByteStream> Connection::OpenStream(
    const std::string& method, common::ByteStream::Handlers handlers) const {
  std::map<std::string, std::string> metadata;
  if (options_.insecure) metadata.emplace(common::kServiceMetadataKey, options_.service);
  return common::ByteStream::Open(common::DialStream(options_.address, credentials_), method,
                                  metadata, std::move(handlers));
}

}  // namespace ctl
