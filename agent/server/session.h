// Session: one client's side of the protocol – bytes in, replies out, in order.
//
// Thread: the loop; no I/O.  Lifetime: its connection owns it; the Services outlive it.
// Writes are submitted as they come and pipeline; a command that must see their effect waits until
// they are answered. A read that local copies cannot answer yet is suspended: it runs again, from
// the start, when what it lacked is there. What cannot be handled yet (that, or the client not
// taking its replies) stays in the session as bytes, and paused() asks the connection to stop
// reading.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
#include "agent/server/tracking.h"
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
  WriteReply reply = WriteReply::kOk;
};

// What the command that runs lacks. Asked of the control plane, or waited for.
struct Lacks {
  std::vector<ReadQuestion> questions;  // one for each dataset and kind; `done` is empty
  std::vector<WaitTarget> targets;
  std::chrono::milliseconds timeout{0};

  bool any() const { return !questions.empty() || !targets.empty(); }
  void Add(ReadQuestion::Kind kind, std::string_view dataset, std::string_view key);
};

// An entry, or its absence, as the control plane told it.
struct RemoteRead {
  RemoteEntry entry;
  common::Epoch epoch = 0;
  common::MonotonicTime as_of;
  bool shared = false;  // as in ReadAnswer
};
using RemoteReads = std::map<std::string, RemoteRead, std::less<>>;  // by key as clients name it

// A command that waits for what it lacks.
struct Suspended {
  const CommandSpec* spec = nullptr;
  std::vector<std::string> args;
  common::MonotonicTime deadline;
  bool waits = false;      // for a copy to come far enough: later reads must wait as well
  std::size_t asked = 0;   // questions without an answer
  std::string error = {};  // the reply, if one of them failed
  RemoteReads got = {};
  std::optional<bool> caching = {};  // CLIENT CACHING, as it was when the command came
};

// What WATCH has seen of a key.
struct SeenKey {
  std::optional<common::Version> version = {};  // absent: there was no entry …
  common::Version absent_since = {};            // … as of this state of the dataset
};

// Keys that the client watches (WATCH), as clients name them.
struct Watches {
  std::map<std::string, SeenKey, std::less<>> keys = {};
  bool broken = false;  // a key was seen at two versions: EXEC answers nil
};

// A write under way.
struct PendingWrite {
  std::function<void(const WriteOutcome& outcome, std::string& out)> compose;
  std::vector<WaitTarget> visible_in;  // this agent's copies that will show it
  std::vector<std::string> keys = {};  // as clients name them; only for NOLOOP
  bool decided = false;
  WriteOutcome outcome = {};
};

using ClientLines = std::map<std::uint64_t, std::string>;  // of CLIENT LIST, by client id
using ListLoop = std::function<ClientLines(const Services&)>;

// A CLIENT LIST of which some loops have not answered.
struct Listing {
  ClientLines lines = {};
  std::size_t waiting = 0;  // loops
};

struct Transaction {
  std::vector<QueuedCommand> commands;
  std::vector<SocketWrite> writes;
  std::size_t bytes = 0;  // of the writes and of the commands kept
  bool has_reads = false;
  bool broken = false;  // a command could not be queued: EXEC refuses
};

class Session final : public Subscriber, public TrackingClient {
 public:
  Session(std::uint64_t id, Services& services);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- for the connection
  void Receive(std::string_view bytes);
  void Resume();    // goes on with kept bytes, if it may
  void EndInput();  // nothing more will come; what came is still answered
  // A write's outcome. +OK is given when this agent's own copies have it as well, so that whoever
  // reads here afterwards sees it; if they do not within write_visible_max, that is said.
  void OnOutcome(std::uint64_t ticket, WriteOutcome outcome);
  void OnAnswer(std::uint64_t ticket, const std::string& dataset, ReadAnswer answer);
  void OnWaitOver(std::uint64_t ticket, bool in_time);
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
  const Services& services() const { return services_; }
  Client& client() { return client_; }
  RespWriter reply() { return RespWriter(target(), client_.resp); }
  std::string& target() { return target_ != nullptr ? *target_ : replies_.tail(); }
  // The snapshot, or null after having replied with an error.
  const Reader* Read();
  // What the reads of this command ask for; handlers of TRIB.GET and TRIB.MGET change it.
  ReadNeed& need() { return need_; }
  // What every read of this connection asks for, TRIB.CONSISTENCY.
  ReadNeed& default_need() { return default_need_; }
  // Local copies may answer without further ado.
  bool plain() const {
    return services_.snapshot.plain() && !need_.level && !need_.min_rev && !need_.meta &&
           got_ == nullptr;
  }
  // Who finds a local entry has nothing to tell the session of it.
  bool reads_only_look() const;
  // What the control plane has told to this command; null: nothing about the key.
  const RemoteRead* Got(std::string_view client_key) const;
  // The command cannot be answered yet: what it replies now is discarded, and it runs again.
  Lacks& lacks() { return lacks_; }
  void Count(ReadResult result);  // of one key read by the command that runs
  void SetLastWrite(const common::Version& version) { last_write_ = version; }
  const std::optional<common::Version>& last_write() const { return last_write_; }
  // The entry as seen at one instant; an expired one is none.
  bool Expired(std::int64_t expires_at_ms) const {
    return expires_at_ms != 0 && expires_at_ms <= now_ms();
  }
  // The control plane's Unix time.
  std::int64_t now_ms() const { return services_.snapshot.NowMillis(services_.clock); }
  std::optional<Transaction>& transaction() { return transaction_; }
  const Watches& watches() const { return watches_; }
  void Watch(std::string_view client_key, const SeenKey& seen);
  void Unwatch() { watches_ = {}; }
  // A read of the key has this to say. What EXEC publishes may rest on it, so a version other than
  // the watched one means that the transaction must not be.
  void NoteVersion(std::string_view client_key, const std::optional<common::Version>& version) {
    if (!watches_.keys.empty()) CompareToWatched(client_key, version);
  }
  void Execute();  // EXEC
  // Replies with what `list` finds on all loops; other loops call it on their threads.
  void ListClients(const ListLoop& list);
  void OnClients(std::uint64_t ticket, ClientLines lines);  // of one other loop
  void Quit() { quit_ = true; }
  void Abandon();  // closes it: notices were lost
  void Reset();
  std::set<std::string, std::less<>>& channels() { return channels_; }
  std::set<std::string, std::less<>>& patterns() { return patterns_; }
  std::size_t subscriptions() const { return channels_.size() + patterns_.size(); }
  void UnsubscribeAll();

  const TrackingMode& tracking() const { return tracking_; }
  void SetTracking(TrackingMode mode);
  // Whether the next command's keys are cached, CLIENT CACHING.
  const std::optional<bool>& caching() const { return caching_; }
  void SetCaching(bool caching) { caching_ = caching; }
  bool redirect_broken() const { return redirect_broken_; }
  // The client is about to be told what the key is. `remote`: by the control plane.
  void NoteRead(std::string_view client_key, bool remote);

  // Takes back all that the client keeps if a copy is no longer fresh enough to be read.
  void CheckKept();

  // Tells this client that a key (absent: everything) is invalid; it may be another's REDIRECT.
  void TakeInvalid(std::optional<std::string_view> key);

  // --- TrackingClient
  void OnKeyInvalid(std::string_view key, const common::Version& version) override;
  void OnAllInvalid() override;

  // --- Subscriber
  void OnMessage(std::string_view channel, std::string_view message) override;
  void OnPatternMessage(std::string_view pattern, std::string_view channel,
                        std::string_view message) override;

 private:
  std::size_t Handle(std::string_view bytes);
  // Handles the commands that were parsed ahead; returns how many of their bytes are dealt with.
  std::size_t HandleBatch(const CommandBatch& batch);
  void HandleItem(const CommandBatch& batch, const CommandBatch::Item& item);
  // A GET of which nothing has to be known but the entry. False: it is to be dispatched.
  bool AnswerAtOnce(const Reader* reader, const CommandBatch::Item& item);
  // False: the command must wait.
  bool Dispatch(const CommandSpec* spec, Args args);
  // Why a call cannot be taken at all; `spec` is null for unknown names.
  std::optional<std::string> Refusal(Args args, const CommandSpec* spec) const;
  bool MustWait(const CommandSpec& spec) const;
  void NoteCall(const CommandSpec& spec);
  void Run(const CommandSpec& spec, Args args);
  void RunWrite(const CommandSpec& spec, Args args);
  void Suspend(const CommandSpec& spec, Args args);
  void Ask(std::uint64_t ticket, Suspended& suspended);
  void RunAgain(std::uint64_t ticket);
  void SettleRead(std::uint64_t ticket, std::string reply);
  std::string TimeoutReply(const Suspended& suspended) const;
  void SettleWrite(std::uint64_t ticket);
  std::vector<WaitTarget> CopiesOf(const std::vector<SocketWrite>& writes) const;
  void Enqueue(const CommandSpec& spec, Args args);
  std::optional<std::string> EnqueueWrite(const CommandSpec& spec, Args args);
  void Reject(const CommandSpec* spec, std::string_view error);
  void ComposeExec(const std::vector<QueuedCommand>& commands, const WriteOutcome& outcome,
                   std::string& out);
  void TakeBackNotKept();
  void FlushPushes();
  std::size_t CopiesNotFresh() const;
  bool IsOwnWrite(std::string_view key, const common::Version& version);
  void SendInvalid(std::optional<std::string_view> key);  // absent: all keys
  using ComposeWrite = std::function<void(const WriteOutcome& outcome, std::string& out)>;
  void Submit(WriteBatch batch, ComposeWrite compose);
  void CompareToWatched(std::string_view client_key, const std::optional<common::Version>& version);
  // False: they are not, or it cannot be told, and the reply says so.
  bool AreUnchangedHere(const Watches& watches);
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
  ReadNeed default_need_;
  ReadNeed need_;
  Lacks lacks_;
  const RemoteReads* got_ = nullptr;              // of the command that runs again
  std::map<std::uint64_t, Suspended> suspended_;  // by ticket
  std::map<std::uint64_t, PendingWrite> writes_;  // by ticket
  std::map<std::uint64_t, Listing> listings_;     // by ticket
  std::optional<Transaction> transaction_;
  Watches watches_;
  std::optional<common::Version> last_write_;
  TrackingMode tracking_;
  std::optional<bool> caching_;
  bool redirect_broken_ = false;
  std::size_t not_fresh_ = 0;          // copies, when CheckKept looked last
  std::vector<std::string> not_kept_;  // keys of the command that runs, to be taken back
  std::string pushes_;                 // that came up while a reply was being composed
  struct Deferred {
    std::string key;
    common::Version version;
  };
  std::vector<Deferred> deferred_;  // changes that may be of own writes
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
