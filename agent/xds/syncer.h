// Syncer: the sync thread. Connects to a control plane, carries messages between its stream and
// SyncCore, and tries again when the stream ends.
//
// Thread: owns "sync"; ReportFault from any, construction and destruction from main.
// Lifetime: clock, board, log and the cache outlive it; it owns the cache's writer.
// A message is read from the stream as soon as the one before is taken up, so receiving overlaps
// with applying and never more than one message waits.
#pragma once

#include <grpcpp/security/credentials.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/xds/sync_core.h"
#include "common/backoff.h"
#include "common/mailbox.h"
#include "common/memory.h"
#include "common/rpc/byte_stream.h"
#include "common/thread.h"

namespace agent {

struct SyncerOptions {
  std::vector<std::string> control_planes;  // HOST:PORT, tried in turn; at least one
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  SyncOptions sync;
};

class Syncer final : private RequestSink {
 public:
  Syncer(SyncerOptions options, const common::Clock& clock, std::unique_ptr<Writer> writer,
         StatusBoard& board, common::Log& log);
  ~Syncer() override;  // ends the stream and joins
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  // Takes up what was wanted last and starts the thread. A failure of the cache is passed on.
  common::Status Start();
  // Any thread. Refused questions are answered at once.
  void Ask(std::vector<DemandQuestion> questions);
  void ReportFault(const common::Collection& collection);

 private:
  struct Received {
    std::uint64_t stream = 0;
    std::shared_ptr<const std::string> bytes;
  };
  struct Closed {
    std::uint64_t stream = 0;
    common::Status why;
  };
  // Shared, so that a refused one can still be answered.
  using Asked = std::shared_ptr<std::vector<DemandQuestion>>;
  using Event = std::variant<Received, Closed, common::Collection, Asked>;

  void Send(const common::DeltaRequest& request) override;
  void Close(const common::Status& why) override;

  void Run();
  void Handle(const Received& received);
  void Handle(const Closed& closed);
  void Handle(const common::Collection& faulted);
  void Handle(const Asked& asked);
  void Connect();

  const SyncerOptions options_;
  const common::Clock& clock_;
  const std::unique_ptr<Writer> writer_;
  SyncCore core_;
  common::Backoff backoff_;
  common::HeapTrim trim_;
  common::Mailbox<Event> mailbox_;

  std::atomic<std::size_t> asked_ = 0;  // questions in the mailbox

  std::unique_ptr<common::ByteStream> stream_;  // null: waiting for retry_at_
  std::uint64_t stream_id_ = 0;
  std::optional<common::Status> closing_;  // why we have cancelled it
  std::size_t next_address_ = 0;
  common::MonotonicTime retry_at_{};
  common::Thread thread_;  // last: started when all else is there
};

}  // namespace agent
