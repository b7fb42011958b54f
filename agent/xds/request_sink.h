// RequestSink: how the sync core reaches its stream. Implemented over gRPC by Syncer, by a script
// in tests.
//
// Thread: called on the sync thread only; must not block.  Lifetime: outlives the core.
#pragma once

#include "common/delta_codec.h"
#include "common/status.h"

namespace agent {

class RequestSink {
 public:
  RequestSink() = default;
  RequestSink(const RequestSink&) = delete;
  RequestSink& operator=(const RequestSink&) = delete;
  virtual ~RequestSink() = default;

  virtual void Send(const common::DeltaRequest& request) = 0;
  // The stream is of no use any more: SyncCore::OnClosed follows, then a new try.
  virtual void Close(const common::Status& why) = 0;
};

}  // namespace agent
