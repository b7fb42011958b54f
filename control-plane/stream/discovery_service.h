// DiscoveryService: accepts xDS streams and says who is at their end.
//
// Thread: gRPC's.
// Lifetime: registered with the server before it starts; the hub thread outlives it.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/clock.h"
#include "common/limits.h"
#include "common/metrics.h"
#include "common/rpc/identity.h"
#include "control-plane/stream/admission.h"
#include "control-plane/stream/hub_thread.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"

namespace cp {

struct DiscoveryOptions {
  common::Trust trust = common::Trust::kCertificates;
  std::size_t streams_max = common::kStreamsMax;  // beyond: UNAVAILABLE, try elsewhere
  // New streams in the long run, and at once; beyond: UNAVAILABLE, try again. 0: no limit.
  std::uint64_t streams_per_second = 0;
  std::uint64_t streams_burst = 0;
};

using DiscoveryBase = envoy::service::discovery::v3::AggregatedDiscoveryService::
    WithRawCallbackMethod_DeltaAggregatedResources<
        envoy::service::discovery::v3::AggregatedDiscoveryService::
            WithRawCallbackMethod_StreamAggregatedResources<
                envoy::service::discovery::v3::AggregatedDiscoveryService::Service>>;

class DiscoveryService final : public DiscoveryBase {
 public:
  DiscoveryService(DiscoveryOptions options, const common::Clock& clock, HubThread& hub,
                   common::Metrics& metrics);

  // From now on every new stream is told to go elsewhere.
  void StopAccepting() { accepting_ = false; }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DeltaAggregatedResources(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamAggregatedResources(
      grpc::CallbackServerContext* context) override;

 private:
  using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

  Reactor* Accept(grpc::CallbackServerContext& context, Variant variant);
  // Counts the stream, unless it cannot be taken.
  common::Status Admit();
  common::Status TryAdmit();

  const DiscoveryOptions options_;
  const common::Clock& clock_;
  HubThread& hub_;
  TokenBucket admission_;
  // New streams, by what became of them.
  struct Counters {
    common::Counter &admitted, &rate, &full, &draining;
  };
  const Counters counters_;
  std::atomic<bool> accepting_{true};
  std::atomic<StreamId> last_id_{0};
  std::atomic<std::size_t> live_{0};
};

}  // namespace cp
