// ResponseSink: how the hub reaches a stream. Implemented over gRPC by stream/, by a queue in tests
// and in the simulation.
//
// Thread: called on the hub's thread only; must not block.  Lifetime: outlives the hub.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cp {

using StreamId = std::uint64_t;
using SharedBytes = std::shared_ptr<const std::string>;

// A DeltaDiscoveryResponse or DiscoveryResponse in pieces; their concatenation is the message.
// Pieces are shared between streams, but for the last one, which holds the nonce.
struct Response {
  std::vector<SharedBytes> pieces;
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const SharedBytes& piece : pieces) sum += piece->size();
    return sum;
  }
};

// A client's refusal of what it was sent.
struct Nack {
  std::string_view service, instance, type_url;
  std::string_view message;  // its reason, as it came
};

class ResponseSink {
 public:
  ResponseSink() = default;
  ResponseSink(const ResponseSink&) = delete;
  ResponseSink& operator=(const ResponseSink&) = delete;
  virtual ~ResponseSink() = default;

  // REQUIRES: no Send of this stream is under way; ends with Hub::OnWriteDone.
  virtual void Send(StreamId stream, Response response) = 0;
  // The last request has been dealt with: read the next; ends with Hub::OnRequest or OnClosed.
  virtual void ReadNext(StreamId stream) = 0;
  // Ends the stream with `status`; OnClosed follows.
  virtual void Close(StreamId stream, common::Status status) = 0;
  // For people to see; the hub has dealt with it.
  virtual void OnNack(StreamId stream, const Nack& nack) = 0;
};

}  // namespace cp
