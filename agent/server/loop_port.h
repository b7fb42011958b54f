// LoopPort: what one loop may ask of another, and threads beside the loops of any.
//
// Thread: any.  Lifetime: all loops of an agent go together, when none of them runs any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "agent/server/connected.h"
#include "agent/server/server_stats.h"

namespace agent {

struct Services;

class LoopPort {
 public:
  LoopPort() = default;
  LoopPort(const LoopPort&) = delete;
  LoopPort& operator=(const LoopPort&) = delete;
  virtual ~LoopPort() = default;

  // The client is this loop's from now on. False: it takes none any more.
  [[nodiscard]] virtual bool Adopt(std::uint64_t client, uv::Connected connection) = 0;
  // Runs `question` on the loop. False: too many wait, or the loop has ended; if true, it runs.
  [[nodiscard]] virtual bool Ask(std::function<void(Services&)> question) = 0;
  // Tells a client of this loop that a key, or everything, is invalid.
  virtual void Invalidate(std::uint64_t client, std::optional<std::string_view> key) = 0;
  virtual const ServerStats& stats() const = 0;
  virtual std::size_t subscribers() const = 0;  // clients that listen to something
};

}  // namespace agent
