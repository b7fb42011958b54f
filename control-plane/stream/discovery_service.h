// DiscoveryService: accepts xDS streams and says who is at their end.
//
// Thread: gRPC's.
// Lifetime: registered with the server before it starts; the hub thread outlives it.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstddef>

#include "common/limits.h"
#include "common/rpc/identity.h"
#include "control-plane/stream/hub_thread.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"

namespace cp {

struct DiscoveryOptions {
  common::Trust trust = common::Trust::kCertificates;
  std::size_t streams_max = common::kStreamsMax;  // beyond: UNAVAILABLE, try elsewhere
};

using DiscoveryBase = envoy::service::discovery::v3::AggregatedDiscoveryService::
    WithRawCallbackMethod_DeltaAggregatedResources<
        envoy::service::discovery::v3::AggregatedDiscoveryService::
            WithRawCallbackMethod_StreamAggregatedResources<
                envoy::service::discovery::v3::AggregatedDiscoveryService::Service>>;

class DiscoveryService final : public DiscoveryBase {
 public:
  DiscoveryService(DiscoveryOptions options, HubThread& hub) : options_(options), hub_(hub) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DeltaAggregatedResources(
      grpc::CallbackServerContext* context) override;
  // State of the world: UNIMPLEMENTED, the delta variant is the one to use.
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamAggregatedResources(
      grpc::CallbackServerContext* context) override;

 private:
  const DiscoveryOptions options_;
  HubThread& hub_;
  std::atomic<StreamId> last_id_{0};
  std::atomic<std::size_t> live_{0};
};

}  // namespace cp
