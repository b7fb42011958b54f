// For tests: a client that speaks raw bytes, and a port that holds writes back.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/server/write_port.h"
#include "common/mutex.h"
#include "tests/fakes/loopback_port.h"

namespace agent {

// A blocking socket that speaks raw bytes; reads time out after 30 s.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    const timeval timeout{.tv_sec = 30, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // What the kernel takes without waiting.
  std::size_t WriteSome(std::string_view bytes) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  void EndOutput() { shutdown(fd_, SHUT_WR); }
  // Exactly `size` bytes, fewer at the end of the stream.
  std::string Read(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const ssize_t got = recv(fd_, bytes.data() + have, size - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  std::string ReadAll() { return Read(1 << 20); }

 private:
  const int fd_;
  bool connected_ = false;
};

// Holds writes back until released; then passes them on.
class GatedPort final : public WritePort {
 public:
  void Submit(WriteBatch batch, std::function<void(WriteOutcome)> done) override {
    std::function<void()> pass = [this, batch = std::move(batch), done = std::move(done)] {
      inner->Submit(batch, done);
    };
    common::MutexLock lock(mutex_);
    if (!gated_) return pass();
    held_.push_back(std::move(pass));
  }
  void Gate() {
    common::MutexLock lock(mutex_);
    gated_ = true;
  }
  void Open() {
    common::MutexLock lock(mutex_);
    gated_ = false;
    for (const auto& pass : held_) pass();
    held_.clear();
  }
  std::size_t held() {
    common::MutexLock lock(mutex_);
    return held_.size();
  }
  std::unique_ptr<LoopbackPort> inner;

 private:
  common::Mutex mutex_;
  bool gated_ = false;
  std::vector<std::function<void()>> held_;
};

}  // namespace agent
