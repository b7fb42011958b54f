// PublishQueue: the agent's side of publishing – batches with sequences, a window in flight,
// retries after a lost stream, deadlines, outcomes in order.
//
// Thread: one owner (publish); pure, no I/O, clock or thread.  Lifetime: outlives its streams.
// A batch has one outcome. A stream that is lost with batches undecided sends them again on the
// next one; the control plane remembers what it has decided. A batch whose writer has been told
// that time is up is not sent again: what the writer does next must not be undone by an old write.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/write_port.h"
#include "common/clock.h"
#include "common/limits.h"
#include "tributary/v1/publisher.pb.h"

namespace agent {

class PublishQueue {
 public:
  using Done = std::function<void(WriteOutcome)>;

  PublishQueue(std::string publisher_id, std::chrono::milliseconds timeout)
      : publisher_id_(std::move(publisher_id)), timeout_(timeout) {}

  // `done` is called once, in the order of the Submits, from here or from any call below.
  void Submit(WriteBatch batch, Done done, common::MonotonicTime now);

  void OnStreamOpened();
  void OnStreamClosed(const common::Status& why);
  // The next message to send; absent: nothing waits, or the window is full. Call until absent.
  std::optional<tributary::v1::PublishRequest> Next();
  // INVALID_ARGUMENT: the peer does not keep to the protocol; close the stream.
  common::Status OnResponse(const tributary::v1::PublishResponse& response);

  // Tells those whose time is up.
  void Expire(common::MonotonicTime now);
  std::optional<common::MonotonicTime> next_deadline() const;
  // Tells all that wait that the agent is shutting down.
  void Abandon();

  bool idle() const { return pending_.empty(); }
  std::size_t in_flight() const { return in_flight_; }

 private:
  struct Pending {
    std::uint64_t sequence = 0;  // 0: never sent
    WriteBatch batch;
    std::size_t bytes = 0;
    Done done;  // empty: has been told that time is up
    common::MonotonicTime deadline;
    bool in_flight = false;  // on this stream
    bool was_sent = false;   // on any
    std::optional<WriteOutcome> outcome;
  };

  void Settle();
  common::Status Unavailable(const Pending& pending, std::string_view why) const;
  static void Encode(const Pending& pending, tributary::v1::Batch& batch);

  const std::string publisher_id_;
  const std::chrono::milliseconds timeout_;
  std::deque<Pending> pending_;  // in order of Submit
  std::uint64_t next_sequence_ = 1;
  std::string epoch_;  // of the store; a stream tells it once
  std::size_t waiting_bytes_ = 0;
  std::size_t in_flight_ = 0;
  bool open_ = false;
  bool introduced_ = false;  // the id was sent on this stream
  std::string last_error_ = "no control plane reached yet";
};

}  // namespace agent
