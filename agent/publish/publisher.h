// Publisher: the WritePort over a Publisher.Publish stream to the control plane.
//
// Thread: owns "publish"; Submit from any loop thread.  Lifetime: outlives the socket server; the
// clock and the log outlive it.
// The stream is opened by the first write and then kept. Writes that wait go into one message.
#pragma once

#include <grpcpp/security/credentials.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "agent/publish/publish_queue.h"
#include "agent/server/write_port.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/rpc/byte_stream.h"
#include "common/thread.h"

namespace agent {

struct PublisherOptions {
  std::vector<std::string> control_planes;  // HOST:PORT, tried in turn; at least one
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string service;  // told to the control plane; it believes this only without TLS
  std::chrono::milliseconds timeout{3000};  // how long a write waits for its outcome
};

class Publisher final : public WritePort {
 public:
  Publisher(PublisherOptions options, const common::Clock& clock, common::Log& log);
  ~Publisher() override;  // tells all that wait, then joins
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void Submit(WriteBatch batch, std::function<void(WriteOutcome)> done) override;

 private:
  struct Submission {
    WriteBatch batch;
    std::function<void(WriteOutcome)> done;
  };
  struct Received {
    std::uint64_t stream = 0;
    std::shared_ptr<const std::string> bytes;
  };
  struct Closed {
    std::uint64_t stream = 0;
    common::Status why;
  };
  using Event = std::variant<Submission, Received, Closed>;

  void Run();
  common::MonotonicTime Step();
  void Handle(Submission& submission);
  void Handle(Received& received);
  void Handle(Closed& closed);
  void Connect();

  const PublisherOptions options_;
  const common::Clock& clock_;
  common::Log& log_;
  common::LogLimiter reach_limiter_;
  PublishQueue queue_;
  common::Backoff backoff_;
  common::Mailbox<Event> mailbox_;

  std::atomic<std::size_t> submitted_{0};  // submissions in the mailbox: room is kept for streams

  std::unique_ptr<common::ByteStream> stream_;
  std::uint64_t stream_id_ = 0;
  std::size_t next_address_ = 0;
  common::MonotonicTime retry_at_{};
  common::Thread thread_;  // last: started when all else is there
};

}  // namespace agent
