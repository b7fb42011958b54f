// PublishStream: one call of Publisher/Publish. PublishStreams: all of them, and what they share.
//
// Thread: gRPC's own, and the committer's when batches are decided.
// Lifetime: a stream owns itself until gRPC is done with it; outcomes that come later find it
// ended. PublishStreams lives while a stream does; what it refers to outlives the committer.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "control-plane/publish/publish_parser.h"
#include "control-plane/store/committer.h"
#include "control-plane/store/store.h"

namespace cp {

using PublishReactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

class PublishStream;

class PublishStreams {
 public:
  PublishStreams(Committer& committer_to_use, const Store& store_to_ask,
                 const common::Clock& clock_to_use, common::Log& log_to_use,
                 common::Metrics& metrics);

  // UNAVAILABLE: draining. RESOURCE_EXHAUSTED: too many streams.
  common::Status Add(const std::shared_ptr<PublishStream>& stream) TSA_EXCLUDES(mutex_);
  void Remove(const PublishStream* stream) TSA_EXCLUDES(mutex_);
  void Drain() TSA_EXCLUDES(mutex_);
  void Count(const common::Status& outcome, common::MonotonicTime submitted);

  Committer& committer;
  const Store& store;
  const common::Clock& clock;
  common::Log& log;
  common::LogLimiter refusals;

 private:
  std::array<common::Counter*, 17> outcomes_{};  // by code
  common::Gauge& streams_gauge_;
  common::Histogram& latency_;
  common::Mutex mutex_;
  bool draining_ TSA_GUARDED_BY(mutex_) = false;
  std::map<const PublishStream*, std::weak_ptr<PublishStream>> streams_ TSA_GUARDED_BY(mutex_);
};

class PublishStream final : public PublishReactor,
                            public std::enable_shared_from_this<PublishStream> {
 public:
  // The new stream, reading; or why there is none (PublishStreams::Add).
  static common::StatusOr<PublishStream*> Open(std::shared_ptr<PublishStreams> streams,
                                               std::string service, std::string peer);

  // Answers what is under way, then ends with UNAVAILABLE.
  void Drain() TSA_EXCLUDES(mutex_);

  void OnReadDone(bool ok) override TSA_EXCLUDES(mutex_);
  void OnWriteDone(bool ok) override TSA_EXCLUDES(mutex_);
  void OnCancel() override TSA_EXCLUDES(mutex_);
  void OnDone() override;

 private:
  PublishStream(std::shared_ptr<PublishStreams> streams, std::string service, std::string peer)
      : streams_(std::move(streams)), service_(std::move(service)), peer_(std::move(peer)) {}

  // What was submitted together.
  struct Submitted {
    std::vector<std::uint64_t> sequences = {};
    std::size_t bytes = 0;
    common::MonotonicTime at{};
  };

  common::StatusOr<PublishJob> ParseInput();
  void SubmitJob(PublishJob job) TSA_EXCLUDES(mutex_);
  void OnDecided(const Submitted& submitted, const std::vector<Outcome>& outcomes)
      TSA_EXCLUDES(mutex_);
  void Greet() TSA_REQUIRES(mutex_);
  // The first reason counts.
  void End(common::Status status) TSA_REQUIRES(mutex_);
  // Starts whichever of write, read and end may start now. gRPC runs no reaction inside of these.
  void Advance() TSA_REQUIRES(mutex_);

  const std::shared_ptr<PublishStreams> streams_;
  const std::string service_;
  const std::string peer_;
  std::shared_ptr<PublishStream> self_;  // until OnDone

  // Of the read that is under way or being dealt with.
  grpc::ByteBuffer input_;
  PublishParser parser_;

  common::Mutex mutex_;
  bool reading_ TSA_GUARDED_BY(mutex_) = false;
  bool writing_ TSA_GUARDED_BY(mutex_) = false;
  bool broken_ TSA_GUARDED_BY(mutex_) = false;  // nobody listens any more
  bool finished_ TSA_GUARDED_BY(mutex_) = false;
  std::optional<common::Status> end_ TSA_GUARDED_BY(mutex_);
  std::size_t jobs_ TSA_GUARDED_BY(mutex_) = 0;     // submitted, undecided
  std::size_t batches_ TSA_GUARDED_BY(mutex_) = 0;  // in them
  std::size_t bytes_ TSA_GUARDED_BY(mutex_) = 0;    // in them, and in old values they may return
  std::size_t answer_bytes_ TSA_GUARDED_BY(mutex_) = 0;  // of old values, in answers_
  bool greeted_ TSA_GUARDED_BY(mutex_) = false;
  bool has_answers_ TSA_GUARDED_BY(mutex_) = false;
  tributary::v1::PublishResponse answers_ TSA_GUARDED_BY(mutex_);
  grpc::ByteBuffer output_ TSA_GUARDED_BY(mutex_);
};

}  // namespace cp
