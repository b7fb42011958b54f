#include "agent/server/connection.h"

#include <string>
#include <utility>

namespace agent {
namespace {

constexpr std::size_t kKeptCapacity = 64 * common::kKiB;  // of an idle client's output buffer

}  // namespace

Connection::Connection(std::uint64_t id, uv::Loop& loop, std::span<char> scratch,
                       Services& services, ConnectionOwner& owner)
    : id_(id),
      services_(services),
      owner_(owner),
      session_(id, services),
      pipe_(loop, scratch, *this) {}

void Connection::OnRead(std::string_view bytes) {
  services_.stats.bytes_in.Add(bytes.size());
  services_.snapshot.OnInput();
  session_.Receive(bytes);
  Flush();
}

void Connection::OnEnd() { Drain(); }
void Connection::OnFailed() { owner_.Close(id_); }

void Connection::OnWritten() {
  services_.stats.bytes_out.Add(std::exchange(writing_, 0));
  session_.set_unsent(0);
  Flush();
}

void Connection::Resume() {
  session_.Resume();
  Flush();
}

void Connection::Drain() {
  ended_ = true;
  session_.EndInput();
  Flush();
}

bool Connection::Send() {
  std::string& output = session_.output();
  if (writing_ > 0 || output.empty()) return true;
  const std::ptrdiff_t sent = pipe_.TryWrite(output);
  if (sent < 0) return false;
  services_.stats.bytes_out.Add(static_cast<std::size_t>(sent));
  output.erase(0, static_cast<std::size_t>(sent));
  if (!output.empty()) {
    writing_ = output.size();
    session_.set_unsent(writing_);
    pipe_.Write(std::exchange(output, std::string()));
  } else if (output.capacity() > kKeptCapacity) {
    output = std::string();
  }
  return true;
}

void Connection::SetReading(bool reading) {
  if (std::exchange(reading_, reading) == reading) return;
  if (reading) {
    pipe_.StartReading();
  } else {
    pipe_.StopReading();
  }
}

void Connection::Flush() {
  session_.ClearTouched();
  if (session_.output().size() + writing_ > services_.output.max) {
    services_.stats.clients_over_output_limit.Add();
    return owner_.Close(id_);
  }
  if (!Send()) return owner_.Close(id_);
  const bool sent = writing_ == 0;
  if (sent && session_.finished()) return owner_.Close(id_);
  SetReading(!ended_ && !session_.paused());
  if (sent && session_.stalled()) owner_.ResumeSoon(id_);
}

}  // namespace agent
