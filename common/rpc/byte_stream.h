// ByteStream: one client-side bidirectional gRPC stream of encoded messages – the thin shell around
// the protocol state objects.
//
// Thread: Write, ReadNext and Cancel from any; handlers run on gRPC's threads, one at a time, and
// must only hand over (a Mailbox). Destroy it on a thread of ours, never in a handler.
// Lifetime: one owner. The destructor cancels the call and waits for its end; no handler runs
// after it. So the channel, too, goes on the owner's thread: gRPC 1.51 joins its callback threads
// when the last channel goes, and on one of them it would free a queue which that thread still
// uses ("assertion failed: prior > 0").
// One write is in flight, the others wait in a queue: they are small (ACKs, subscriptions) or
// bounded by their sender's window. A message is read only when ReadNext asks for it, which is what
// holds back a fast server.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "common/status.h"

namespace common {

// A channel for long streams: messages up to kResponseReceiveBytesMax, keepalive, no retries or
// back-off of its own beyond the first try. Cheap to make; make a new one for each try.
std::shared_ptr<grpc::Channel> DialStream(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

class ByteStream final : private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  struct Handlers {
    std::function<void(std::shared_ptr<const std::string>)> on_message;
    // Last and exactly once, at the latest from the destructor; never OK.
    std::function<void(Status)> on_closed;
  };

  // `method`: "/package.Service/Method". The first message is read without being asked for.
  static std::unique_ptr<ByteStream> Open(std::shared_ptr<grpc::Channel> channel,
                                          const std::string& method,
                                          const std::map<std::string, std::string>& metadata,
                                          Handlers handlers);
  ~ByteStream() override;

  // Without effect once the stream has ended.
  void Write(std::string message);
  // The last message has been taken. REQUIRES: one on_message since the last call.
  void ReadNext();
  void Cancel();

  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

 private:
  ByteStream(std::shared_ptr<grpc::Channel> channel, Handlers handlers);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const Handlers handlers_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;

  Mutex mutex_;
  std::deque<std::string> waiting_ TSA_GUARDED_BY(mutex_);
  bool writing_ TSA_GUARDED_BY(mutex_) = false;
  bool ended_ TSA_GUARDED_BY(mutex_) = false;
  bool held_ TSA_GUARDED_BY(mutex_) = true;  // operations may still be started from outside
  bool done_ TSA_GUARDED_BY(mutex_) = false;
  CondVar done_condition_;
};

}  // namespace common
