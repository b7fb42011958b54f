// SyncCore: keeps the cache equal to what the control plane offers. All of the agent's xDS but the
// stream itself: which resources to ask for, what to apply, what to acknowledge, how fresh each
// copy is.
//
// Thread: one owner (sync); no thread, socket or lock inside.  Lifetime: writer, board, sink, log
// and clock outlive it.
// Order of work for every response: validate, make durable, then acknowledge. A write that fails
// (disk full) closes the stream, so that nothing is acknowledged that is not stored; what is stored
// keeps being served, and the next stream resumes there.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/cache/agent_status.h"
#include "agent/cache/cache.h"
#include "agent/xds/cut.h"
#include "agent/xds/freshness.h"
#include "agent/xds/on_demand.h"
#include "agent/xds/remembered.h"
#include "agent/xds/request_sink.h"
#include "agent/xds/subscription.h"
#include "agent/xds/wanted.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/packed.h"

namespace agent {

struct SyncOptions {
  std::string service;
  std::string instance;  // tells agents of one service apart
  std::string user_agent = "tributary-agent";
  std::vector<common::Subscription> subscribe;  // --subscribe
  std::chrono::milliseconds freshness_interval{1000};
  std::chrono::milliseconds foreign_quiet = kForeignQuiet;
  OnDemandLimits on_demand = {};
};

// Client feature that asks for cursors and markers (docs/protocol.md, "Resume").
inline constexpr std::string_view kCursorFeature = "tributary.cursor.v1";
inline constexpr std::string_view kTtlFeature = "xds.config.supports-resource-ttl";

class SyncCore {
 public:
  SyncCore(SyncOptions options, const common::Clock& clock, Writer& writer, StatusBoard& board,
           RequestSink& sink, common::Log& log);

  // Takes up what was wanted last, so that copies serve without a control plane. Once, first.
  common::Status Start();

  void OnConnecting(const std::string& address);
  // A stream was opened; whether anybody is there shows with the first response.
  void OnOpened();
  void OnResponse(std::shared_ptr<const std::string> bytes);
  void OnClosed(const common::Status& why);
  // Readers ask for entries of on-demand copies; each `done` is called once.
  void OnAsked(std::vector<DemandQuestion> questions);
  // A reader found a broken entry: the copy is loaded again.
  void OnFault(const common::Collection& collection);
  // Does what time has come for; call again at the returned time or after any other event.
  common::MonotonicTime Tick();

  // The stream has been of use: the next one may be tried without delay.
  bool proved() const { return proved_ && totals_.apply_error.empty(); }

 private:
  struct Copy {
    WantedCopy wanted;
    CopyProof proof;
    bool restart = false;        // load from nothing: a cursor must not be offered
    bool restart_asked = false;  // on this stream
    bool faulted = false;
    bool mismatch = false;
    bool staged = false;
    bool loading = false;
    bool bridged = false;                   // was read through before; see CopyStatus
    bool by_name = false;                   // mode onDemand
    common::Version position{};             // head that was known when the sentinel was asked for
    std::vector<std::string> taken = {};    // rejected keys of which a value waits for its cut
    std::optional<common::Version> cursor;  // of the complete copy
    common::MonotonicTime since{};          // it is here
    common::MonotonicTime loading_since{};
    common::MonotonicTime restart_after{};  // reloads for a mismatch keep a distance
    common::Backoff restart_backoff;
    std::int64_t verified_at_ms = 0;
    std::string note;
  };
  struct Ack {
    std::string nonce;
    std::optional<common::ErrorDetail> error;
  };
  // The server at the other end of this stream.
  struct Server {
    common::MonotonicTime opened_at{};
    bool identified = false;  // it has sent something
    std::string identifier = {};
    bool reports_errors = false;  // of resources
    bool entries_answered = false;
    std::size_t versions_bytes = 0;  // of entries, in the first request
  };
  using InitialVersions = std::vector<std::pair<std::string, std::string>>;
  struct BucketAnswer {
    std::string name;  // of the collection
    InitialVersions digests;
  };

  // What to carry.
  common::Status AdoptWanted();
  common::Status RemoveUnwanted(const Wanted& wanted);
  common::Status AddCopy(const WantedCopy& wanted);
  std::vector<WantedCopy> Bridges(const Wanted& wanted) const;
  void ReadThrough(const std::vector<WantedCopy>& wanted);
  bool IsReadThrough(const common::Collection& collection) const;
  void WarnUnsupported(const Wanted& wanted);

  // Responses by type.
  void OnSubscriptions(const common::DeltaResponseView& view);
  void OnStates(const common::DeltaResponseView& view);
  void OnEntries(const common::DeltaResponseView& view,
                 const std::shared_ptr<const std::string>& bytes);
  void AnswerByName(std::string_view name);
  std::string OnState(const common::ResourceView& resource);
  std::string CheckDigest(Copy& copy);
  bool RunSteps(std::vector<CacheStep>& steps);
  common::Status RunStep(CacheStep& step);
  common::Status WriteStep(CacheStep& step);
  void StepDone(const CacheStep& step, Copy& copy);
  void Applied(const CacheStep& step, Copy& copy);
  void Restart(Copy& copy);

  // Repair by digests.
  void AnswerQuestion(const common::Collection& collection, std::size_t buckets);
  void SendBucketAnswers();
  common::Status DropRepairs();

  // Who the server is, and what it is told first.
  bool TakesCursors() const;
  bool MayOpenEntries() const;
  InitialVersions OfferCopies();
  bool OfferVersions(const CopyState& state, InitialVersions& versions);
  void Identify(std::string_view identifier);
  void LearnServer();
  common::Status RecallServer();
  void ReviewRefusal(const common::Status& why);

  // Entries that were rejected, and those that end by themselves.
  void AskForRejected();
  common::Status RecallRejected();
  common::Status ForgetRejected(const common::Collection& collection);
  void Remember(const std::vector<std::pair<common::Collection, std::string>>& rejected);
  void NoteTaken(const CacheStep& step, Copy& copy);
  void KeepRejected();
  void RecallExpiries();
  // What Tick does, while there is a stream and for entries that expire; when to look again.
  common::MonotonicTime TickStream(common::MonotonicTime now);
  common::MonotonicTime TickExpiries(common::MonotonicTime now);
  void ExpireEntries();
  common::Status Expire(const common::Collection& collection, const std::vector<std::string>& keys);

  // On demand.
  common::Status AddByName(const WantedCopy& wanted);
  void DropByName(const common::Collection& collection, const common::Status& why);
  void WantNames(const CopyState& state, bool with_versions, InitialVersions& versions);
  void NamesStored(const CacheStep& step, const Copy& copy);
  void TellHeld(const HeldName& name);
  void TakeNameErrors(const common::DeltaResponseView& view);
  void DenyByName(const common::Collection& collection, Denial denial);
  void ReviewDenied(const std::string& dataset, std::optional<Denial> denial);
  void AskSentinel(Copy& copy);
  void SentinelAnswered(std::string_view name);
  void NameOverdue(const std::string& name);
  void SweepNames();
  common::Status ForgetNames(const std::vector<HeldName>& names);
  void DropNames(const std::vector<HeldName>& names);

  // What was erased must leave the disk, too.
  void ScheduleErasure();
  void EraseFromDisk();

  // Requests.
  // An ACK, or, when something was rejected, a NACK that says what and why.
  static Ack AckOf(std::string_view nonce, const std::vector<std::string>& rejected);
  void Respond(std::string_view type_url, const Ack& ack);
  void ReleaseEntryAcks();
  void Flush();
  void Send(common::DeltaRequest request);
  void Probe();
  void ReportOverdue();
  void Fail(const common::Status& status);

  // Status.
  CopyStatus StatusOf(const Copy& copy, const CopyState& state) const;
  CopyPhase PhaseOf(const Copy& copy, const CopyState& state) const;
  void AddRemote(const WantedCopy& wanted, CopyPhase phase, AgentStatus& status) const;
  void PublishStatus();

  Copy* FindCopy(std::string_view collection_name);

  const SyncOptions options_;
  const common::Clock& clock_;
  Writer& writer_;
  StatusBoard& board_;
  RequestSink& sink_;
  common::Log& log_;
  common::LogLimiter fail_limiter_;
  common::LogLimiter nack_limiter_;
  common::LogLimiter reach_limiter_;
  common::LogLimiter overdue_limiter_;

  DeltaSubscription subscriptions_;
  DeltaSubscription states_;
  DeltaSubscription entries_;
  CutAssembler assembler_;
  DeclaredResources declared_;
  bool wanted_known_ = false;
  std::vector<WantedCopy> read_through_;
  std::vector<WantedCopy> unsupported_;
  std::map<common::Collection, Copy> copies_;
  Server server_;
  std::optional<KnownServer> known_server_;
  std::size_t versions_bytes_max_ = kInitialVersionsBytesMax;
  std::vector<BucketAnswer> bucket_answers_;  // to be sent
  RejectedKeys rejected_;
  std::multimap<std::int64_t, std::pair<common::Collection, std::string>> expiries_;  // by Unix ms

  AgentStatus totals_;
  bool status_dirty_ = true;
  bool opened_ = false;  // there is a stream
  bool failed_ = false;  // the stream is being closed; its responses count no more
  bool proved_ = false;
  bool node_sent_ = false;
  std::deque<Ack> entry_acks_;  // in order; released when nothing is held in memory
  common::MonotonicTime held_since_{};
  common::MonotonicTime next_probe_{};
  common::MonotonicTime next_status_{};
  std::optional<common::MonotonicTime> erase_at_;
  OnDemand demand_;
  bool unreachable_ = false;  // the last try has failed
  std::uint64_t sweeps_ = 0;
  common::MonotonicTime next_sweep_{};
};

}  // namespace agent
