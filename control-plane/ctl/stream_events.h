// StreamEvents: what happens to a verb that keeps a stream: messages, the stream's end, a stop
// signal, all taken from one mailbox.
//
// Thread: TakeFor on main; events come from gRPC's threads.  Lifetime: owns its stream, whose
// handlers end with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/mailbox.h"
#include "common/rpc/byte_stream.h"
#include "common/status.h"
#include "control-plane/ctl/connection.h"

namespace ctl {

struct StreamEvent {
  enum class Kind { kMessage, kClosed, kStop };
  Kind kind = Kind::kStop;
  std::uint64_t stream = 0;  // number of the stream
  std::shared_ptr<const std::string> bytes = {};
  Status status = {};
};

class StreamEvents {
 public:
  // Ends the stream before, if there is one. Its further events are not delivered.
  void Open(const Connection& connection, const std::string& method) {
    Close();
    const std::uint64_t number = ++number_;
    stream_ = connection.OpenStream(
        method,
        {.on_message =
             [this, number](std::shared_ptr<const std::string> bytes) {
               (void)mailbox_.Post(
                   {StreamEvent::Kind::kMessage, number, std::move(bytes), common::OkStatus()});
             },
         .on_closed =
             [this, number](Status status) {
               (void)mailbox_.Post(
                   {StreamEvent::Kind::kClosed, number, nullptr, std::move(status)});
             }});
  }
  void Close() { stream_.reset(); }
  StreamEvents() = default;
  ~StreamEvents() = default;
  StreamEvents(const StreamEvents&) = delete;
  StreamEvents& operator=(const StreamEvents&) = delete;

  // REQUIRES: a stream is open.
  void Write(std::string bytes) { stream_->Write(std::move(bytes)); }
  void ReadNext() { stream_->ReadNext(); }
  void PostStop() { (void)mailbox_.Post({}); }

  // What has come, at most after `timeout`; only events of the open stream, and stops.
  std::vector<StreamEvent> TakeFor(std::chrono::milliseconds timeout) {
    std::vector<StreamEvent> events = mailbox_.WaitAll(timeout);
    std::erase_if(events, [this](const StreamEvent& event) {
      return event.kind != StreamEvent::Kind::kStop && (!stream_ || event.stream != number_);
    });
    return events;
  }

 private:
  static constexpr std::size_t kEventsMax = 1024;  // one message a stream, two ends, two stops

  common::Mailbox<StreamEvent> mailbox_{kEventsMax};
  std::uint64_t number_ = 0;
  std::unique_ptr<common::ByteStream> stream_;  // last: its handlers use the mailbox
};

}  // namespace ctl
