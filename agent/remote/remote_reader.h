// RemoteReader: the ReadPort for strong reads, over tributary.v1.Reader of the control plane.
//
// Thread: owns "remote"; Read from any loop thread, totals from any.  Lifetime: outlives the socket
// server; the clock and the log outlive it.
// The questions of a turn wake the thread once; all that wait then go out together.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "agent/remote/read_queue.h"
#include "agent/server/read_port.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mutex.h"
#include "common/rpc/unary_call.h"
#include "common/thread.h"

namespace agent {

struct RemoteReaderOptions {
  std::vector<std::string> control_planes;  // HOST:PORT, tried in turn; at least one
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string service;  // told to the control plane; it believes this only without TLS
};

class RemoteReader final : public ReadPort {
 public:
  RemoteReader(RemoteReaderOptions options, const common::Clock& clock, common::Log& log);
  ~RemoteReader() override;  // tells all that wait, then joins
  RemoteReader(const RemoteReader&) = delete;
  RemoteReader& operator=(const RemoteReader&) = delete;

  void Read(std::vector<ReadQuestion> questions) override;
  ReadQueue::Totals totals() const TSA_EXCLUDES(mutex_);

 private:
  using Questions = std::vector<ReadQuestion>;
  struct Ended {
    std::uint64_t call = 0;
    common::StatusOr<std::string> response;
  };
  using Event = std::variant<Questions, Ended>;

  void Run();
  common::MonotonicTime Step();
  void Handle(Questions& questions);
  void Handle(Ended& ended);
  void Start(const ReadQueue::Call& call);
  void Redial(const std::shared_ptr<grpc::Channel>& failed);
  void PublishTotals() TSA_EXCLUDES(mutex_);

  const RemoteReaderOptions options_;
  const common::Clock& clock_;
  common::Log& log_;
  common::LogLimiter reach_limiter_;
  ReadQueue queue_;
  common::Mailbox<Event> mailbox_;

  std::shared_ptr<grpc::Channel> channel_;  // null: to be dialled
  std::size_t next_address_ = 0;
  struct UnderWay {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<common::UnaryCall> call;
  };
  std::map<std::uint64_t, UnderWay> calls_;
  mutable common::Mutex mutex_;
  ReadQueue::Totals totals_ TSA_GUARDED_BY(mutex_);
  common::Thread thread_;  // last: started when all else is there
};

}  // namespace agent
