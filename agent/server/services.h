// Services: what the commands of one loop work with.
//
// Thread: the loop.  Lifetime: everything named outlives the sessions.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/agent_status.h"
#include "agent/cache/cache.h"
#include "agent/server/command_batch.h"
#include "agent/server/command_table.h"
#include "agent/server/scan_cursors.h"
#include "agent/server/server_stats.h"
#include "agent/server/subscriptions.h"
#include "agent/server/write_port.h"
#include "common/clock.h"
#include "common/limits.h"

namespace agent {

class Session;

// The loop's read transaction: taken when a turn first reads, let go at the end of the turn, so all
// that one turn reads is one snapshot.
class Snapshot {
 public:
  explicit Snapshot(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}

  common::StatusOr<const Reader*> Take() {
    if (!taken_) {
      RETURN_IF_ERROR(reader_->Refresh());
      taken_ = true;
    }
    return reader_.get();
  }
  // Views that were read become invalid.
  void Release() {
    if (taken_) reader_->Release();
    taken_ = false;
  }

 private:
  std::unique_ptr<Reader> reader_;
  bool taken_ = false;
};

struct ServerIdentity {
  std::string service = {};
  std::string version = "0.1.0";  // of the program
  std::string socket = {};        // path
  std::string run_id = {};        // 40 hex digits, new for each process
  std::size_t clients_max = common::kClientsMax;
  common::MonotonicTime started = {};
};

struct OutputLimits {
  std::size_t soft = common::kRespOutputBytesSoft;
  std::size_t max = common::kRespOutputBytesMax;
};

struct Services {
  ServerIdentity identity;
  OutputLimits output;
  Snapshot& snapshot;
  Subscriptions& subscriptions;
  const StatusBoard& status;
  const common::Clock& clock;
  // Submits a batch; the outcome comes back to Session::OnOutcome(ticket) of session `id`.
  std::function<void(std::uint64_t id, std::uint64_t ticket, std::vector<SocketWrite>)> submit;
  std::function<std::size_t()> cache_bytes;
  CommandTable commands = {};
  CommandBatch batch = {};  // of the session that handles its input
  ScanCursors cursors = ScanCursors(common::kScanCursorsMax);
  ServerStats stats = {};
  std::mt19937_64 random{std::random_device()()};   // for RANDOMKEY
  std::map<std::uint64_t, Session*> sessions = {};  // by client id
  std::vector<std::uint64_t> touched = {};  // sessions with new output, for the server to send
};

}  // namespace agent
