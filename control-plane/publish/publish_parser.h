// PublishParser: what the messages of one Publish stream ask for, checked.
//
// Thread: one owner.  Lifetime: one per stream.
// Pure: no gRPC, clock or thread. Whether the service may publish, and whether keys and values fit,
// is the committer's business (store/validate.h): that is the outcome of a batch. What is refused
// here is malformed and ends the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "control-plane/store/committer.h"
#include "tributary/v1/publisher.pb.h"

namespace cp {

// Of all batches of a message: they come back in one answer.
inline constexpr std::size_t kMessageOldValuesMax = 64;

class PublishParser {
 public:
  // The job without its service and `done`. INVALID_ARGUMENT names the fault: no publisher id in
  // the first message, another one later, more than kPublisherBatchesInFlightMax batches or
  // kMessageOldValuesMax old values, sequences
  // that do not grow, a write that neither puts nor deletes, an unknown condition.
  common::StatusOr<PublishJob> Take(tributary::v1::PublishRequest request);

  const std::string& publisher_id() const { return publisher_id_; }  // empty before the first

 private:
  common::Status TakePublisher(const std::string& publisher_id);
  common::StatusOr<Batch> TakeBatch(tributary::v1::Batch& batch);

  std::string publisher_id_;
  std::uint64_t last_sequence_ = 0;  // of this stream
};

// The answer to one batch.
void AppendResult(std::uint64_t sequence, const Outcome& outcome,
                  tributary::v1::PublishResponse& response);

}  // namespace cp
