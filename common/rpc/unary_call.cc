#include "common/rpc/unary_call.h"

#include <utility>

#include "common/rpc/byte_buffer.h"
#include "common/rpc/status.h"

namespace common {

UnaryCall::UnaryCall(std::shared_ptr<grpc::Channel> channel, const std::string& request, Done done)
    : channel_(std::move(channel)),
      stub_(channel_),
      on_done_(std::move(done)),
      request_(Wrap(request)) {}

std::unique_ptr<UnaryCall> UnaryCall::Start(std::shared_ptr<grpc::Channel> channel,
                                            const std::string& method,
                                            const std::map<std::string, std::string>& metadata,
                                            std::chrono::milliseconds timeout,
                                            const std::string& request, Done done) {
  std::unique_ptr<UnaryCall> call(new UnaryCall(std::move(channel), request, std::move(done)));
  for (const auto& [key, value] : metadata) call->context_.AddMetadata(key, value);
  call->context_.set_deadline(std::chrono::system_clock::now() + timeout);
  call->stub_.PrepareUnaryCall(&call->context_, method, {}, &call->request_, &call->response_,
                               call.get());
  call->StartCall();
  return call;
}

UnaryCall::~UnaryCall() {
  context_.TryCancel();
  MutexLock lock(mutex_);
  while (!done_) done_condition_.Wait(mutex_);
}

void UnaryCall::OnDone(const grpc::Status& status) {
  if (status.ok()) {
    on_done_(Flatten(response_));
  } else {
    on_done_(FromGrpc(status));
  }
  MutexLock lock(mutex_);
  done_ = true;
  done_condition_.NotifyOne();  // under the lock: afterwards there may be no condition any more
}

}  // namespace common
