// Connection: the control plane as tributaryctl sees it – a channel, who we are, and a time limit.
//
// Thread: main; OpenStream's handlers run on gRPC's.  Lifetime: outlives its streams.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/rpc/byte_stream.h"
#include "common/rpc/credentials.h"
#include "common/status.h"

namespace ctl {

using common::Status;
using common::StatusOr;

struct ConnectionOptions {
  std::string address = "127.0.0.1:18000";
  bool insecure = false;
  std::string service = {};  // who we are: with TLS the certificate proves it
  common::TlsFiles tls = {};
  std::chrono::milliseconds timeout{30'000};  // of one call
};

class Connection {
 public:
  // INVALID_ARGUMENT: certificates that cannot be used.
  static StatusOr<std::unique_ptr<Connection>> Make(ConnectionOptions options);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Our name; empty: only the control plane can tell.
  const std::string& service() const { return options_.service; }
  const std::string& address() const { return options_.address; }
  std::chrono::milliseconds timeout() const { return options_.timeout; }

  // Identity and, with `has_deadline`, the time limit of one call.
  void Prepare(grpc::ClientContext& context, bool has_deadline = true) const;
  // For people: with the address and what to do when it is out of reach. Once, at the end.
  Status Explain(const Status& status) const;

  // A stream on a channel of its own.
  std::unique_ptr<common::ByteStream> OpenStream(const std::string& method,
                                                 common::ByteStream::Handlers handlers) const;

 private:
  Connection(ConnectionOptions options, std::shared_ptr<grpc::ChannelCredentials> credentials);

  const ConnectionOptions options_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace ctl
