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
#include <vector>

#include "common/status.h"
#include "common/version.h"

namespace agent {

struct SocketWrite {
  std::string dataset;
  std::string key;
  std::optional<std::string> value;  // absent: delete
};

struct WriteOutcome {
  // OK: durable at the control plane. PERMISSION_DENIED: not the owner (-READONLY). NOT_FOUND: no
  // such dataset (-NODATASET). UNAVAILABLE, DEADLINE_EXCEEDED: out of reach (-UNAVAILABLE; the
  // message says whether the write may have been applied). OUT_OF_RANGE: too big (-TOOBIG).
  // RESOURCE_EXHAUSTED: full (-FULL).
  common::Status status;
  common::Version version;    // epoch and revision of the commit
  std::uint64_t deleted = 0;  // deletes that found an entry
  // Bit i % 8 of byte i / 8: write i did nothing; bytes that are not there are 0.
  std::string skipped = {};
};

inline bool IsSkipped(const WriteOutcome& outcome, std::size_t write) {
  if (write / 8 >= outcome.skipped.size()) return false;
  return (static_cast<unsigned char>(outcome.skipped[write / 8]) >> write % 8 & 1) != 0;
}

class WritePort {
 public:
  WritePort() = default;
  WritePort(const WritePort&) = delete;
  WritePort& operator=(const WritePort&) = delete;
  virtual ~WritePort() = default;
  // One atomic batch. `done` is called exactly once, on any thread, also before Submit returns.
  // Outcomes of one loop thread arrive in the order of its Submits.
  virtual void Submit(std::vector<SocketWrite> writes, std::function<void(WriteOutcome)> done) = 0;
};

}  // namespace agent
