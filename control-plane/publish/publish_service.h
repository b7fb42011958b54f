// PublishService: the gRPC service Publisher over a Committer.
//
// Thread: any (gRPC's own); Drain from main.  Lifetime: committer, store, log and metrics outlive
// it; it outlives the gRPC server. A stream is read on while fewer than
// kPublisherBatchesInFlightMax batches and kPublishBytesInFlightMax bytes of it are undecided, so a
// publisher that does not wait for answers is slowed down, not refused.
#pragma once

#include <memory>

#include "common/log.h"
#include "common/metrics.h"
#include "common/rpc/identity.h"
#include "control-plane/publish/publish_stream.h"
#include "control-plane/store/committer.h"
#include "control-plane/store/store.h"
#include "tributary/v1/publisher.grpc.pb.h"

namespace cp {

// The messages are parsed here and not by gRPC, which ends a stream without a reason when one is
// malformed.
class PublishService final : public tributary::v1::Publisher::WithRawCallbackMethod_Publish<
                                 tributary::v1::Publisher::Service> {
 public:
  PublishService(common::Trust trust, Committer& committer, const Store& store,
                 const common::Clock& clock, common::Log& log, common::Metrics& metrics)
      : trust_(trust),
        streams_(std::make_shared<PublishStreams>(committer, store, clock, log, metrics)) {}

  PublishReactor* Publish(grpc::CallbackServerContext* context) override;

  // No new batches: each stream is answered what it has under way, then ends with UNAVAILABLE.
  void Drain() { streams_->Drain(); }

 private:
  const common::Trust trust_;
  const std::shared_ptr<PublishStreams> streams_;
};

}  // namespace cp
