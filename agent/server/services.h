// Services: what the commands of one loop work with.
//
// Thread: the loop; what is shared with other loops says so.  Lifetime: everything named outlives
// the sessions.
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
#include "agent/server/consistency.h"
#include "agent/server/prefetched_keys.h"
#include "agent/server/read_port.h"
#include "agent/server/server_stats.h"
#include "agent/server/shared_services.h"
#include "agent/server/subscriptions.h"
#include "agent/server/tracking.h"
#include "agent/server/waits.h"
#include "agent/server/write_port.h"
#include "common/clock.h"
#include "common/limits.h"

namespace agent {

class Session;

// The loop's read transaction and the status that belongs to it: taken when a turn first reads, let
// go at the end of the turn, so all that one turn reads is one snapshot; with several loops it is
// one for each client's input.
class Snapshot {
 public:
  // `alone`: no other loop reads the same cache.
  Snapshot(std::unique_ptr<Reader> reader, const StatusBoard& board, bool alone = true)
      : reader_(std::move(reader)), board_(board), alone_(alone), known_(board.Get()) {}

  common::StatusOr<const Reader*> Take() {
    if (taken_) return reader_.get();
    // The status first: what it has proven of a copy then holds for this snapshot too. And it was
    // still the newest afterwards: a copy that has been removed is not taken for one that serves.
    do {
      LearnStatus();
      RETURN_IF_ERROR(reader_->Refresh());
    } while (board_.version() != version_);
    taken_ = true;
    return reader_.get();
  }
  // Input has come from a client. What it has seen on another loop before (a reply, a notice, the
  // +OK to a write) this one shows as well: the turn goes on with a newer snapshot if there is one.
  void OnInput() {
    if (taken_ && !alone_ && !reader_->IsNewest()) Release();
  }
  // As of the last Take.
  const AgentStatus& status() const { return *known_; }
  // Reads that ask for nothing special may be answered by the copies, see AllPlain.
  bool plain() const { return plain_; }
  // Whether the copy has come far enough. One that cannot be read shows nothing older.
  bool Reached(const WaitTarget& target) {
    const auto reader = Take();
    if (!reader.ok()) return false;
    const auto cursor = (*reader)->ReachOf(target.dataset, target.key);
    if (!cursor) return !target.until_readable;
    return ReachOf(*cursor, target.token) == Reach::kThere;
  }
  // The control plane's Unix time. All that one turn reads is read at one instant.
  std::int64_t NowMillis(const common::Clock& clock) {
    if (now_ms_ == 0) now_ms_ = board_.control_plane_clock.UnixMillis(clock);
    return now_ms_;
  }
  // See Reader::FillIndex; takes a snapshot.
  bool FillIndex(std::size_t entries_max) { return Take().ok() && reader_->FillIndex(entries_max); }
  bool WantsFill() const { return reader_->WantsFill(); }
  // Views that were read become invalid.
  void Release() {
    if (taken_) reader_->Release();
    taken_ = false;
    now_ms_ = 0;
  }

 private:
  void LearnStatus() {
    const std::uint64_t version = board_.version();
    if (version == version_) return;
    version_ = version;
    known_ = board_.Get();
    plain_ = AllPlain(*known_);
  }

  std::unique_ptr<Reader> reader_;
  const StatusBoard& board_;
  const bool alone_;
  std::shared_ptr<const AgentStatus> known_;
  std::uint64_t version_ = 0;
  std::int64_t now_ms_ = 0;  // 0: nobody has asked yet
  bool plain_ = true;
  bool taken_ = false;
};

struct ServerIdentity {
  std::string service = {};
  std::string version = "0.1.0";  // of the program
  std::string socket = {};        // path
  std::string run_id = {};        // 40 hex digits, new for each process
  std::size_t clients_max = common::kClientsMax;
  std::size_t threads = 1;  // loops
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
  Tracking& tracking;
  Waits& waits;  // over: Session::OnWaitOver
  const StatusBoard& status;
  const common::Clock& clock;
  // Submits a batch; the outcome comes back to Session::OnOutcome(ticket) of session `id`.
  std::function<void(std::uint64_t id, std::uint64_t ticket, WriteBatch)> submit;
  // Asks the read port at the end of this turn; the answer comes back to
  // Session::OnAnswer(ticket) of session `id`. The question's own `done` is not used.
  std::function<void(std::uint64_t id, std::uint64_t ticket, ReadQuestion)> ask;
  std::function<std::size_t()> cache_bytes;
  SharedServices& shared;
  std::size_t loop = 0;                               // which of shared.loops this is
  std::chrono::milliseconds write_visible_max{3000};  // see Session::OnOutcome
  CommandTable commands = {};
  CommandBatch batch = {};         // of the session that handles its input
  PrefetchedKeys prefetched = {};  // those that `batch` reads
  ServerStats stats = {};
  std::mt19937_64 random{std::random_device()()};   // for RANDOMKEY
  std::map<std::uint64_t, Session*> sessions = {};  // by client id
  std::vector<std::uint64_t> touched = {};  // sessions with new output, for the server to send
};

}  // namespace agent
