// WritePort: how the socket hands a client's writes to the publisher, and gets their outcome back.
//
// Thread: Submit on a loop thread; the outcome comes back to that loop through its own mailbox.
// Lifetime: the port outlives the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/server/set_options.h"
#include "common/status.h"
#include "common/version.h"

namespace agent {

struct SocketWrite {
  std::string dataset = {};
  std::string key = {};
  std::optional<std::string> value = {};  // absent: delete
  SetOptions options = {};                // of a put; of a delete only `get`
};

// What a client has watched: the batch is applied only if the entry is still this one.
struct SocketCheck {
  std::string dataset = {};
  std::string key = {};
  std::optional<common::Version> version = {};  // absent: there was no entry …
  common::Version absent_since = {};  // … as of this, and none may have been there since
};

// Applied whole or not at all.
struct WriteBatch {
  std::vector<SocketWrite> writes = {};
  std::vector<SocketCheck> checks = {};
};

struct WriteOutcome {
  // OK: durable at the control plane. PERMISSION_DENIED: not the owner (-READONLY). NOT_FOUND: no
  // such dataset (-NODATASET). UNAVAILABLE, DEADLINE_EXCEEDED: out of reach (-UNAVAILABLE; the
  // message says whether the write may have been applied). OUT_OF_RANGE: too big (-TOOBIG).
  // RESOURCE_EXHAUSTED: full (-FULL). ABORTED: what was watched has changed (nil).
  common::Status status = {};
  common::Version version = {};  // epoch and revision of the commit
  // Bit i % 8 of byte i / 8: write i did nothing; bytes that are not there are 0.
  std::string skipped = {};
  // Of the writes that asked for it and found one: index and value; few.
  std::vector<std::pair<std::uint32_t, std::string>> old = {};

  bool Skipped(std::size_t write) const {
    if (write / 8 >= skipped.size()) return false;
    return (static_cast<unsigned char>(skipped[write / 8]) >> write % 8 & 1) != 0;
  }
  // Null: there was none, or nobody asked.
  const std::string* Old(std::size_t write) const {
    for (const auto& [index, value] : old) {
      if (index == write) return &value;
    }
    return nullptr;
  }
};

class WritePort {
 public:
  WritePort() = default;
  WritePort(const WritePort&) = delete;
  WritePort& operator=(const WritePort&) = delete;
  virtual ~WritePort() = default;
  // One atomic batch. `done` is called exactly once, on any thread, also before Submit returns.
  // Outcomes of one loop thread arrive in the order of its Submits.
  virtual void Submit(WriteBatch batch, std::function<void(WriteOutcome)> done) = 0;
};

}  // namespace agent
