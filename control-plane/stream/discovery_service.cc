#include "control-plane/stream/discovery_service.h"

#include <memory>
#include <utility>

#include "common/rpc/status.h"

namespace cp {
namespace {

// A stream that ends before it begins.
class Refused final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Refused(const common::Status& status) { Finish(common::ToGrpc(status)); }
  void OnDone() override { delete this; }
};

common::Counter& Admissions(common::Metrics& metrics, const char* result) {
  return metrics.AddCounter("tributary_control_plane_stream_admissions_total",
                            "New xDS streams, by what became of them", {{"result", result}});
}

}  // namespace

DiscoveryService::DiscoveryService(DiscoveryOptions options, const common::Clock& clock,
                                   HubThread& hub, common::Metrics& metrics)
    : options_(options),
      clock_(clock),
      hub_(hub),
      admission_(options.streams_per_second, options.streams_burst, clock.Now()),
      counters_{.admitted = Admissions(metrics, "admitted"),
                .rate = Admissions(metrics, "rate"),
                .full = Admissions(metrics, "full"),
                .draining = Admissions(metrics, "draining")} {}

common::Status DiscoveryService::Admit() {
  common::Status admitted = TryAdmit();
  if (admitted.ok()) counters_.admitted.Increment();
  return admitted;
}

common::Status DiscoveryService::TryAdmit() {
  using common::StatusCode;
  if (!accepting_) {
    counters_.draining.Increment();
    return common::Error(StatusCode::kUnavailable, "shutting down");
  }
  if (!admission_.Take(clock_.Now())) {
    counters_.rate.Increment();
    return common::Error(
        StatusCode::kUnavailable,
        "more than {} new streams a second, the most this control plane takes: try "
        "again",
        options_.streams_per_second);
  }
  if (live_.fetch_add(1) >= options_.streams_max) {
    live_.fetch_sub(1);
    counters_.full.Increment();
    return common::Error(StatusCode::kUnavailable,
                         "{} streams are open, the most this control plane takes",
                         options_.streams_max);
  }
  return common::OkStatus();
}

DiscoveryService::Reactor* DiscoveryService::Accept(grpc::CallbackServerContext& context,
                                                    Variant variant) {
  auto identity = common::ProvenIdentity(context, options_.trust);
  if (!identity.ok()) return new Refused(identity.status());
  StreamInfo info{.peer = context.peer(), .identity = *std::move(identity), .variant = variant};
  const common::Status admitted = Admit();
  if (!admitted.ok()) return new Refused(admitted);
  const StreamId id = ++last_id_;
  auto stream = std::make_unique<DeltaStream>(id, variant, hub_, live_);
  DeltaStream* const reactor = stream.get();
  hub_.PostOpened(id, std::move(info), std::move(stream));
  return reactor;
}

DiscoveryService::Reactor* DiscoveryService::DeltaAggregatedResources(
    grpc::CallbackServerContext* context) {
  return Accept(*context, Variant::kDelta);
}

DiscoveryService::Reactor* DiscoveryService::StreamAggregatedResources(
    grpc::CallbackServerContext* context) {
  return Accept(*context, Variant::kSotw);
}

}  // namespace cp
