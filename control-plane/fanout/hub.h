// Hub: the xDS management server without its sockets. Knows every stream's subscriptions and
// position, and decides what each is sent next.
//
// Thread: one owner (HubThread in the program, the test in tests); no lock, clock or thread inside.
// Lifetime: store and sink outlive it.
// Per stream and collection it keeps a position, never a queue of values: the next response is
// read from the store's change index when the stream can take it, so a slow consumer costs nothing
// and gets the newest value of each key.  Rules: docs/protocol.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/delta_codec.h"
#include "common/limits.h"
#include "common/status.h"
#include "control-plane/fanout/chunk_source.h"
#include "control-plane/fanout/client_stream.h"
#include "control-plane/fanout/response_sink.h"
#include "control-plane/fanout/watch_index.h"
#include "control-plane/store/store.h"

namespace cp {

struct HubOptions {
  std::string identifier{
      common::kControlPlaneIdentifier};  // must begin so; control_plane.identifier
  std::size_t streams_max = common::kStreamsMax;
};

// One line of `tributaryctl status` and /agents.
struct AgentRow {
  std::string service = {}, instance = {}, peer = {}, user_agent = {};
  common::MonotonicTime connected_since{};
  std::size_t unacked_bytes = 0;
};
struct CopyRow {
  std::string service = {}, instance = {}, dataset = {}, prefix = {};
  std::string state = {};   // SYNCING | SYNCED
  std::string digest = {};  // ok | mismatch | unknown
  Revision revision = 0;    // last acknowledged cursor
  Revision head = 0;
  std::int64_t lag_ms = 0;            // age of the oldest change that is missing; 0: none is
  common::MonotonicTime proven_at{};  // when the state now acknowledged was sent; epoch: never
};
struct HubStatus {
  std::vector<AgentRow> agents;
  std::vector<CopyRow> copies;
};

struct HubCounters {
  std::uint64_t streams_opened = 0, responses = 0, response_bytes = 0, acks = 0, nacks = 0;
  std::uint64_t encode_cache_hits = 0, encode_cache_misses = 0;
};

class Hub {
 public:
  Hub(HubOptions options, const common::Clock& clock, const Store& store, ResponseSink& sink);

  void OnOpened(StreamId stream, StreamInfo info);
  // An undecodable request arrives as its error and ends the stream.
  void OnRequest(StreamId stream, common::StatusOr<Request> request);
  void OnWriteDone(StreamId stream, bool ok);
  void OnClosed(StreamId stream);
  // `catalog`: null when no declaration changed.
  void OnCommitted(const std::vector<std::string>& datasets, CatalogPtr catalog);
  // When Step has something to do though nothing else happens; absent: no need.
  std::optional<common::MonotonicTime> NextStep() const;
  // Goes on with the streams whose time has come.
  void Step();
  // Ends every stream (UNAVAILABLE) so that the agents go elsewhere.
  void Drain();

  HubStatus Status() const;
  HubCounters counters() const;
  std::size_t unacked_bytes() const;
  std::size_t streams() const { return streams_.size(); }

 private:
  // Runs `work` in a snapshot; a store that cannot be read ends `stream` only.
  void InSnapshot(ClientStream& stream, const std::function<common::Status(const Context&)>& work);
  void InSnapshot(ClientStream& stream, std::size_t& scans_left,
                  const std::function<common::Status(const Context&)>& work);
  // Valid while `scans_left` is.
  Context ContextOf(const View& view, std::size_t& scans_left);
  // Sends what is next, if the stream can take it.
  common::Status Pump(ClientStream& stream, const Context& context);
  void SetTimer(ClientStream& stream, std::optional<common::MonotonicTime> time);
  void Send(ClientStream& stream, ClientStream::Ready ready);
  void Close(ClientStream& stream, const common::Status& status);
  // Null: gone or being closed.
  ClientStream* Find(StreamId stream);

  void OnNack(const ClientStream& stream, const common::DeltaRequest& request);
  CatalogChanges TakeCatalog(CatalogPtr catalog);
  common::Status MatchKeys(const std::string& dataset, const View& view,
                           std::vector<StreamId>& concerned);
  std::vector<StreamId> Concerned(const std::vector<std::string>& datasets,
                                  const CatalogChanges& changes, const Context& context);

  const HubOptions options_;
  const common::Clock& clock_;
  const Store& store_;
  ResponseSink& sink_;
  CatalogPtr catalog_;
  ChunkSource chunks_;
  BucketTables tables_;
  WatchIndex watches_;
  std::map<StreamId, std::unique_ptr<ClientStream>> streams_;
  std::set<std::pair<common::MonotonicTime, StreamId>> timers_;
  HubCounters counters_;
};

}  // namespace cp
