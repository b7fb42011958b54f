// UnaryCall: one gRPC call of encoded messages, with a deadline – a thin shell, as ByteStream.
//
// Thread: Start and Cancel from any; `done` runs on one of gRPC's threads and must only hand over
// (a Mailbox). Destroy it on a thread of ours, never in `done`.
// Lifetime: one owner. The destructor cancels the call and waits for its end, so the channel goes
// on the owner's thread; see ByteStream.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "common/status.h"

namespace common {

class UnaryCall final : private grpc::ClientUnaryReactor {
 public:
  // Exactly once, at the latest from the destructor: the response, or why there is none.
  using Done = std::function<void(StatusOr<std::string> response)>;

  // `method`: "/package.Service/Method".
  static std::unique_ptr<UnaryCall> Start(std::shared_ptr<grpc::Channel> channel,
                                          const std::string& method,
                                          const std::map<std::string, std::string>& metadata,
                                          std::chrono::milliseconds timeout,
                                          const std::string& request, Done done);
  ~UnaryCall() override;
  void Cancel() { context_.TryCancel(); }

  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

 private:
  UnaryCall(std::shared_ptr<grpc::Channel> channel, const std::string& request, Done done);

  void OnDone(const grpc::Status& status) override;

  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const Done on_done_;
  const grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;

  Mutex mutex_;
  bool done_ TSA_GUARDED_BY(mutex_) = false;
  CondVar done_condition_;
};

}  // namespace common
