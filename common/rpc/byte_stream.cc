#include "common/rpc/byte_stream.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "common/limits.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/status.h"

namespace common {
std::shared_ptr<grpc::Channel> DialStream(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kResponseReceiveBytesMax));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(kKeepaliveTime.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(kKeepaliveTimeout.count()));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // No subchannel is shared that sits out an earlier failure's back-off.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

ByteStream::ByteStream(std::shared_ptr<grpc::Channel> channel, Handlers handlers)
    : channel_(std::move(channel)), stub_(channel_), handlers_(std::move(handlers)) {}

std::unique_ptr<ByteStream> ByteStream::Open(std::shared_ptr<grpc::Channel> channel,
                                             const std::string& method,
                                             const std::map<std::string, std::string>& metadata,
                                             Handlers handlers) {
  std::unique_ptr<ByteStream> stream(new ByteStream(std::move(channel), std::move(handlers)));
  for (const auto& [key, value] : metadata) stream->context_.AddMetadata(key, value);
  stream->stub_.PrepareBidiStreamingCall(&stream->context_, method, {}, stream.get());
  stream->AddHold();  // Write and ReadNext start operations outside of reactions
  stream->StartRead(&stream->incoming_);
  stream->StartCall();
  return stream;
}

void ByteStream::Write(std::string message) {
  {
    MutexLock lock(mutex_);
    if (ended_) return;
    if (writing_) {
      waiting_.push_back(std::move(message));
      return;
    }
    writing_ = true;
    outgoing_ = Wrap(message);
    // Under the lock, so that the hold is not dropped between the check and the start.
    StartWrite(&outgoing_);
  }
}

void ByteStream::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  if (!ok || ended_ || waiting_.empty()) {
    writing_ = false;
    return;
  }
  outgoing_ = Wrap(waiting_.front());
  waiting_.pop_front();
  StartWrite(&outgoing_);
}

void ByteStream::ReadNext() {
  MutexLock lock(mutex_);
  if (!ended_) StartRead(&incoming_);
}

void ByteStream::OnReadDone(bool ok) {
  if (ok) return handlers_.on_message(std::make_shared<const std::string>(Flatten(incoming_)));
  bool release = false;
  {
    MutexLock lock(mutex_);
    ended_ = true;  // the server has ended the stream, or it broke
    waiting_.clear();
    release = std::exchange(held_, false);
  }
  if (release) RemoveHold();
}

void ByteStream::Cancel() {
  bool release = false;
  {
    MutexLock lock(mutex_);
    ended_ = true;
    waiting_.clear();
    release = std::exchange(held_, false);
  }
  context_.TryCancel();
  if (release) RemoveHold();
}

void ByteStream::OnDone(const grpc::Status& status) {
  handlers_.on_closed(status.ok() ? Error(StatusCode::kUnavailable, "the server ended the stream")
                                  : FromGrpc(status));
  MutexLock lock(mutex_);
  done_ = true;
  done_condition_.NotifyAll();  // under the lock: behind it this object may be gone
}

ByteStream::~ByteStream() {
  Cancel();
  MutexLock lock(mutex_);
  while (!done_) done_condition_.Wait(mutex_);
}

}  // namespace common
