// Session: one client's side of the protocol – bytes in, replies out, in order.
//
// Thread: the loop; no I/O.  Lifetime: its connection owns it; the Services outlive it.
// Writes are submitted as they come and pipeline; a command that must see their effect waits until
// they are answered. What cannot be handled yet (that, or the client not taking its replies) stays
// in the session as bytes, and paused() asks the connection to stop reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/server/command_batch.h"
#include "agent/server/command_table.h"
#include "agent/server/reply_queue.h"
#include "agent/server/resp_parser.h"
#include "agent/server/resp_writer.h"
#include "agent/server/services.h"
#include "agent/server/subscriptions.h"
#include "common/clock.h"
#include "common/version.h"

namespace agent {

// What CLIENT INFO tells of a client.
struct Client {
  std::uint64_t id = 0;
  std::string name;
  std::string library_name;
  std::string library_version;
  RespVersion resp = RespVersion::k2;
  common::MonotonicTime since;
  common::MonotonicTime last_used;
  std::string_view last_command;  // full name
};

// One command inside MULTI. Writes are understood when queued, reads run at EXEC.
struct QueuedCommand {
  const CommandSpec* spec = nullptr;
  std::vector<std::string> args;  // of a command that is not a write
  std::size_t writes = 0;         // how many of the transaction's writes are its own
  bool counts_deleted = false;
};

struct Transaction {
  std::vector<QueuedCommand> commands;
  std::vector<SocketWrite> writes;
  std::size_t bytes = 0;  // of the writes and of the commands kept
  bool has_reads = false;
  bool broken = false;  // a command could not be queued: EXEC refuses
};

class Session final : public Subscriber {
 public:
  Session(std::uint64_t id, Services& services);
  ~Session() override;

  // --- for the connection
  void Receive(std::string_view bytes);
  void Resume();    // goes on with kept bytes, if it may
  void EndInput();  // nothing more will come; what came is still answered
  void OnOutcome(std::uint64_t ticket, WriteOutcome outcome);
  std::string& output() { return replies_.output(); }
  // Bytes that have left output() but not the process.
  void set_unsent(std::size_t bytes) { unsent_ = bytes; }
  bool paused() const { return blocked_ || quit_; }
  bool finished() const {  // to be closed when all output is sent
    return (quit_ || (input_ended_ && !blocked_)) && replies_.waiting() == 0;
  }
  // Held back by its output alone: to be resumed once that is sent.
  bool stalled() const { return blocked_ && !quit_ && replies_.waiting() == 0; }
  std::size_t kept_bytes() const { return kept_.size(); }
  bool has_output() const { return !replies_.output().empty(); }
  void ClearTouched() { touched_ = false; }

  // --- for the commands
  Services& services() { return services_; }
  Client& client() { return client_; }
  RespWriter reply() { return RespWriter(target(), client_.resp); }
  std::string& target() { return target_ != nullptr ? *target_ : replies_.tail(); }
  // The snapshot, or null after having replied with an error.
  const Reader* Read();
  void Count(ReadResult result);  // of one key read by the command that runs
  void SetLastWrite(const common::Version& version) { last_write_ = version; }
  const std::optional<common::Version>& last_write() const { return last_write_; }
  std::optional<Transaction>& transaction() { return transaction_; }
  void Execute();  // EXEC
  void Quit() { quit_ = true; }
  void Abandon();  // closes it: notices were lost
  void Reset();
  std::set<std::string, std::less<>>& channels() { return channels_; }
  std::set<std::string, std::less<>>& patterns() { return patterns_; }
  std::size_t subscriptions() const { return channels_.size() + patterns_.size(); }
  void UnsubscribeAll();

  // --- Subscriber
  void OnMessage(std::string_view channel, std::string_view message) override;
  void OnPatternMessage(std::string_view pattern, std::string_view channel,
                        std::string_view message) override;

 private:
  std::size_t Handle(std::string_view bytes);
  // Handles the commands that were parsed ahead; returns how many of their bytes are dealt with.
  std::size_t HandleBatch(const CommandBatch& batch);
  void HandleItem(const CommandBatch& batch, const CommandBatch::Item& item);
  // False: the command must wait.
  bool Dispatch(const CommandSpec* spec, Args args);
  // Why a call cannot be taken at all; `spec` is null for unknown names.
  std::optional<std::string> Refusal(Args args, const CommandSpec* spec) const;
  bool MustWait(const CommandSpec& spec) const;
  void Run(const CommandSpec& spec, Args args);
  void RunWrite(const CommandSpec& spec, Args args);
  void Enqueue(const CommandSpec& spec, Args args);
  std::optional<std::string> EnqueueWrite(const CommandSpec& spec, Args args);
  void Reject(const CommandSpec* spec, std::string_view error);
  void ComposeExec(const std::vector<QueuedCommand>& commands, const WriteOutcome& outcome,
                   std::string& out);
  void Submit(std::vector<SocketWrite> writes, ReplyQueue::Compose compose);
  bool over_soft_limit() const {
    return replies_.output().size() + unsent_ >= services_.output.soft;
  }
  void Touch();
  bool TakesMessages() const;

  Services& services_;
  Client client_;
  RespParser parser_;
  ReplyQueue replies_;
  std::string kept_;               // input that is not handled yet
  std::string* target_ = nullptr;  // where replies go while EXEC runs its reads
  const CommandSpec* running_ = nullptr;
  std::optional<Transaction> transaction_;
  std::optional<common::Version> last_write_;
  std::set<std::string, std::less<>> channels_;
  std::set<std::string, std::less<>> patterns_;
  std::size_t unsent_ = 0;
  std::uint64_t reads_ = 0;  // commands run since their time was last counted
  bool blocked_ = false;     // kept_ may hold whole commands that must wait
  bool quit_ = false;        // no further command is handled
  bool input_ended_ = false;
  bool touched_ = false;  // listed in services_.touched
};

}  // namespace agent
