// Connection: one client's socket around its Session.
//
// Thread: the loop.  Lifetime: owned by the server; destroyed by ConnectionOwner::Close.
// Replies gathered while one read is handled leave in one write. A client that does not take its
// replies is not read from beyond the soft output limit, and closed beyond the hard one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "agent/server/session.h"
#include "agent/server/uv.h"

namespace agent {

class ConnectionOwner {
 public:
  ConnectionOwner() = default;
  ConnectionOwner(const ConnectionOwner&) = delete;
  ConnectionOwner& operator=(const ConnectionOwner&) = delete;
  virtual ~ConnectionOwner() = default;
  virtual void Close(std::uint64_t id) = 0;       // destroys the connection before it returns
  virtual void ResumeSoon(std::uint64_t id) = 0;  // calls Resume in the loop's next turn
};

class Connection final : public uv::PipeHandler {
 public:
  Connection(std::uint64_t id, uv::Loop& loop, std::span<char> scratch, Services& services,
             ConnectionOwner& owner);

  uv::Pipe& pipe() { return pipe_; }
  Session& session() { return session_; }

  // Each of these may end in ConnectionOwner::Close.
  void Flush();   // sends the output, then reads on, waits or closes as the session demands
  void Resume();  // goes on with input that was held back
  void Drain();   // reads nothing more and closes when all that came is answered

  void OnRead(std::string_view bytes) override;
  void OnEnd() override;
  void OnFailed() override;
  void OnWritten() override;

 private:
  [[nodiscard]] bool Send();  // false: the peer is gone
  void SetReading(bool reading);

  const std::uint64_t id_;
  Services& services_;
  ConnectionOwner& owner_;
  Session session_;
  uv::Pipe pipe_;
  std::size_t writing_ = 0;  // bytes of the write under way
  bool reading_ = false;
  bool ended_ = false;  // the peer sends nothing more
};

}  // namespace agent
