// HubThread: the thread and mailbox around the Hub, and the streams' way to it and back.
//
// Thread: owns "hub"; Post…, OnCommitted, Drain and the questions from any other.
// Lifetime: store, clock and log outlive it; it outlives the committer and the gRPC server (once
// that has shut down, all streams are closed).
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/memory.h"
#include "common/thread.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/hub.h"
#include "control-plane/store/committer.h"
#include "control-plane/stream/admission.h"
#include "control-plane/stream/delta_stream.h"

namespace cp {

struct HubFigures {
  HubCounters counters;
  std::size_t streams = 0;
  std::size_t unacked_bytes = 0;
};

class HubThread final : public CommitListener {
 public:
  HubThread(const HubOptions& options, const common::Clock& clock, const Store& store,
            common::Log& log);
  ~HubThread() override;
  HubThread(const HubThread&) = delete;
  HubThread& operator=(const HubThread&) = delete;

  // Takes over the stream and starts its first read.
  void PostOpened(StreamId id, StreamInfo info, std::unique_ptr<DeltaStream> stream);
  void PostRequest(StreamId id, common::StatusOr<Request> request);
  void PostWriteDone(StreamId id, bool ok);
  // The client has gone or wants to: end the stream with `status`.
  void PostEnd(StreamId id, common::Status status);
  // gRPC will not touch the stream any more.
  void PostClosed(StreamId id);

  // Never blocks. When the hub is far behind, notices melt into one: "look at everything".
  void OnCommitted(const std::vector<std::string>& datasets, CatalogPtr catalog) override;
  // Ends every stream with UNAVAILABLE, so that agents go elsewhere.
  void Drain();

  // Counts big requests from their arrival until the hub needs nothing of them any more.
  ByteBudget& requests() { return requests_; }

  // Asked by message; block until the hub has answered.
  HubStatus Status();
  HubFigures Figures();

 private:
  struct Opened {
    StreamId id = 0;
    StreamInfo info = {};
    std::unique_ptr<DeltaStream> stream = {};
  };
  struct Requested {
    StreamId id = 0;
    common::StatusOr<Request> request;
  };
  struct Written {
    StreamId id = 0;
    bool ok = false;
  };
  struct Ended {
    StreamId id = 0;
    common::Status status;
  };
  struct Closed {
    StreamId id = 0;
  };
  struct Committed {
    std::vector<std::string> datasets;
    CatalogPtr catalog = {};
  };
  struct Question {
    std::function<void(const Hub&)> ask;
  };
  struct DrainAll {};
  using Event =
      std::variant<Opened, Requested, Written, Ended, Closed, Committed, Question, DrainAll>;

  // The sink that the hub speaks to: hub thread only.
  class Sink final : public ResponseSink {
   public:
    Sink(common::Log& log, const common::Clock& clock)
        : log_(log), clock_(clock), limiter_(clock), nack_limiter_(clock) {}
    void Send(StreamId stream, Response response) override;
    void ReadNext(StreamId stream) override;
    void Close(StreamId stream, common::Status status) override;
    void OnNack(StreamId stream, const Nack& nack) override;

    std::map<StreamId, std::unique_ptr<DeltaStream>> streams;
    // The chunks of first loads leave holes, a MiB for each agent that ever loaded.
    common::HeapTrim trim;

   private:
    common::Log& log_;
    const common::Clock& clock_;
    common::LogLimiter limiter_, nack_limiter_;
  };

  void Post(Event event);
  void Run();
  // Until the hub has something to do by itself.
  std::chrono::nanoseconds Wait() const;
  void Handle(Event& event);
  void HandleCommits(std::vector<Event>& events);
  template <class T>
  T Ask(const std::function<T(const Hub&)>& question);

  const common::Clock& clock_;
  const Store& store_;
  ByteBudget requests_{common::kRequestsBytesMax};
  Sink sink_;
  Hub hub_;
  std::atomic<std::size_t> notices_{0};  // Committed events that wait
  std::atomic<bool> notices_lost_{false};
  common::Mailbox<Event> mailbox_;
  common::Thread thread_;
};

}  // namespace cp
