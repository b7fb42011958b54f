// RespSocket: one blocking connection to a server that speaks RESP.
//
// Thread: one owner.  Lifetime: closes its socket. Ends the program with a message when the
// connection fails: a bench has nothing else to do then.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tests/bench/load/resp_wire.h"

namespace bench {

// Prints and exits 1.
[[noreturn]] void Die(std::string_view what);

class RespSocket {
 public:
  // "/path" or "host:port" (numeric).
  explicit RespSocket(const std::string& address);
  ~RespSocket();
  RespSocket(RespSocket&& other) noexcept;
  RespSocket(const RespSocket&) = delete;
  RespSocket& operator=(const RespSocket&) = delete;

  int fd() const { return fd_; }
  ReplyCutter& replies() { return replies_; }

  void Send(std::string_view bytes);
  // Takes what is there; false: nothing is (only without `wait`).
  bool Fill(bool wait);
  // Blocks for the next reply; valid until the next call.
  std::string_view Receive();
  // Send and Receive; an error ends the program.
  std::string Ask(const std::vector<std::string>& words);

 private:
  int fd_ = -1;
  ReplyCutter replies_;
};

}  // namespace bench
