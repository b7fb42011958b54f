// Connected: a connection that was accepted on one loop, on its way to a Pipe of another. Closes
// itself if it does not get there.
//
// Thread: one at a time.  Lifetime: value.
#pragma once

#include <unistd.h>

#include <utility>

namespace agent::uv {

class Connected {
 public:
  Connected() = default;
  explicit Connected(int fd) : fd_(fd) {}
  ~Connected() {
    if (valid()) close(fd_);
  }
  Connected(const Connected&) = delete;
  Connected(Connected&& other) noexcept : fd_(other.Take()) {}
  Connected& operator=(const Connected&) = delete;
  Connected& operator=(Connected&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  bool valid() const { return fd_ >= 0; }
  int Take() { return std::exchange(fd_, -1); }  // the caller closes it

 private:
  int fd_ = -1;
};

}  // namespace agent::uv
