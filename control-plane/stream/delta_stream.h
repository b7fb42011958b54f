// DeltaStream: the gRPC side of one xDS stream of either variant; carries bytes, decides nothing.
//
// Thread: gRPC's callbacks only decode and post; every operation is started on the hub thread.
// Lifetime: made by DiscoveryService, handed to the HubThread with its first event, deleted there
// after gRPC has let go of it (OnDone).
// At most one read, one write and one end are under way, so a stream has at most one event of each
// kind in the hub's mailbox.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>

#include "common/status.h"
#include "control-plane/fanout/request.h"
#include "control-plane/fanout/response_sink.h"

namespace cp {

class HubThread;

class DeltaStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // `live` counts the streams that exist.
  DeltaStream(StreamId id, Variant variant, HubThread& hub, std::atomic<std::size_t>& live)
      : id_(id), variant_(variant), hub_(hub), live_(live) {}
  ~DeltaStream() override { live_.fetch_sub(1); }
  DeltaStream(const DeltaStream&) = delete;
  DeltaStream& operator=(const DeltaStream&) = delete;

  // On the hub thread:
  void Read() {
    if (!ended_) StartRead(&request_);
  }
  void Write(const Response& response);
  // The first call counts.
  void End(const common::Status& status);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  common::StatusOr<Request> TakeRequest();

  const StreamId id_;
  const Variant variant_;
  HubThread& hub_;
  std::atomic<std::size_t>& live_;
  grpc::ByteBuffer request_;   // of the read under way
  grpc::ByteBuffer response_;  // of the write under way
  bool ended_ = false;         // hub thread
};

// The bytes of `response` without copying them: the slices keep the shared pieces alive.
grpc::ByteBuffer ToByteBuffer(const Response& response);

}  // namespace cp
