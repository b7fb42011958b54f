#include "control-plane/stream/discovery_service.h"

#include <memory>
#include <utility>

#include "common/rpc/status.h"

namespace cp {
namespace {

using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// A stream that ends before it begins.
class Refused final : public Reactor {
 public:
  explicit Refused(const common::Status& status) { Finish(common::ToGrpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

Reactor* DiscoveryService::DeltaAggregatedResources(grpc::CallbackServerContext* context) {
  StreamInfo info{.peer = context->peer(),
                  .identity = common::PeerIdentity(*context->auth_context())};
  if (options_.trust == common::Trust::kCertificates && info.identity.empty()) {
    return new Refused(common::Error(
        common::StatusCode::kUnauthenticated,
        "the client certificate names no service: it needs a SPIFFE ID or a DNS name"));
  }
  if (live_.fetch_add(1) >= options_.streams_max) {
    live_.fetch_sub(1);
    return new Refused(common::Error(common::StatusCode::kUnavailable,
                                     "{} streams are open, the most this control plane takes",
                                     options_.streams_max));
  }
  const StreamId id = ++last_id_;
  auto stream = std::make_unique<DeltaStream>(id, hub_, live_);
  DeltaStream* const reactor = stream.get();
  hub_.PostOpened(id, std::move(info), std::move(stream));
  return reactor;
}

Reactor* DiscoveryService::StreamAggregatedResources(grpc::CallbackServerContext*) {
  return new Refused(common::Error(common::StatusCode::kUnimplemented,
                                   "state of the world is not served: use the delta variant, "
                                   "DeltaAggregatedResources"));
}

}  // namespace cp
