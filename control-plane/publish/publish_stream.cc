#include "control-plane/publish/publish_stream.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

#include "common/limits.h"
#include "common/rpc/status.h"
#include "control-plane/store/validate.h"

namespace cp {

using common::Error;
using common::MutexLock;
using common::StatusCode;

namespace {

common::Status ShuttingDown() {
  return Error(StatusCode::kUnavailable, "the control plane is shutting down; connect again");
}

common::Status Busy() {
  return Error(StatusCode::kUnavailable,
               "too much waits to be committed; connect again and re-send what was not answered");
}

}  // namespace

// --- PublishStreams ---------------------------------------------------------------------------

PublishStreams::PublishStreams(Committer& committer_to_use, const Store& store_to_ask,
                               const common::Clock& clock_to_use, common::Log& log_to_use,
                               common::Metrics& metrics)
    : committer(committer_to_use),
      store(store_to_ask),
      clock(clock_to_use),
      log(log_to_use),
      refusals(clock),
      streams_gauge_(metrics.AddGauge("tributary_control_plane_publish_streams",
                                      "Open streams of publishers")),
      latency_(metrics.AddHistogram("tributary_control_plane_publish_seconds",
                                    "From a batch's arrival to its durable outcome")) {
  for (std::size_t code = 0; code < outcomes_.size(); ++code) {
    outcomes_[code] = &metrics.AddCounter(
        "tributary_control_plane_publish_results_total", "Batches decided, by status code",
        {{"code", absl::StatusCodeToString(static_cast<StatusCode>(code))}});
  }
}

common::Status PublishStreams::Add(const std::shared_ptr<PublishStream>& stream) {
  MutexLock lock(mutex_);
  if (draining_) return ShuttingDown();
  if (streams_.size() >= common::kStreamsMax) {
    return Error(StatusCode::kResourceExhausted, "{} publishers are connected, no more are allowed",
                 streams_.size());
  }
  streams_.emplace(stream.get(), stream);
  streams_gauge_.Set(static_cast<double>(streams_.size()));
  return common::OkStatus();
}

void PublishStreams::Remove(const PublishStream* stream) {
  MutexLock lock(mutex_);
  streams_.erase(stream);
  streams_gauge_.Set(static_cast<double>(streams_.size()));
}

void PublishStreams::Drain() {
  std::vector<std::shared_ptr<PublishStream>> live;
  {
    MutexLock lock(mutex_);
    draining_ = true;
    for (const auto& [address, weak] : streams_) {
      if (auto stream = weak.lock()) live.push_back(std::move(stream));
    }
  }
  for (const auto& stream : live) stream->Drain();
}

void PublishStreams::Count(const common::Status& outcome, common::MonotonicTime submitted) {
  const auto code = static_cast<std::size_t>(outcome.code());
  outcomes_[code < outcomes_.size() ? code : static_cast<std::size_t>(StatusCode::kUnknown)]
      ->Increment();
  latency_.Observe(std::chrono::duration<double>(clock.Now() - submitted).count());
}

// --- PublishStream ----------------------------------------------------------------------------

common::StatusOr<PublishStream*> PublishStream::Open(std::shared_ptr<PublishStreams> streams,
                                                     std::string service, std::string peer) {
  std::shared_ptr<PublishStream> stream(
      new PublishStream(std::move(streams), std::move(service), std::move(peer)));
  RETURN_IF_ERROR(stream->streams_->Add(stream));
  stream->self_ = stream;
  stream->streams_->log.Debug("publisher connected",
                              {{"service", stream->service_}, {"peer", stream->peer_}});
  MutexLock lock(stream->mutex_);
  stream->Advance();
  return stream.get();
}

void PublishStream::Drain() {
  MutexLock lock(mutex_);
  End(ShuttingDown());
  Advance();
}

void PublishStream::OnReadDone(bool ok) {
  if (!ok) {  // the client has sent its last message, or the stream is broken: OnCancel tells
    MutexLock lock(mutex_);
    reading_ = false;
    End(common::OkStatus());
    return Advance();
  }
  common::StatusOr<PublishJob> job = ParseInput();
  if (job.ok()) return SubmitJob(*std::move(job));
  streams_->log.Warn(streams_->refusals, "malformed publish request",
                     {{"service", service_}, {"peer", peer_}, {"error", job.status()}});
  MutexLock lock(mutex_);
  reading_ = false;
  End(job.status());
  Advance();
}

common::StatusOr<PublishJob> PublishStream::ParseInput() {
  tributary::v1::PublishRequest request;
  const grpc::Status parsed =
      grpc::SerializationTraits<tributary::v1::PublishRequest>::Deserialize(&input_, &request);
  if (!parsed.ok()) {
    return common::InvalidArgument("the message is not a tributary.v1.PublishRequest");
  }
  return parser_.Take(std::move(request));
}

void PublishStream::SubmitJob(PublishJob job) {
  Submitted submitted{.at = streams_->clock.Now()};
  for (const Batch& batch : job.batches) {
    submitted.sequences.push_back(batch.sequence);
    submitted.bytes += BatchBytes(batch) + OldValuesAsked(batch) * common::kValueBytesMax;
  }
  {
    MutexLock lock(mutex_);
    ++jobs_;
    batches_ += submitted.sequences.size();
    bytes_ += submitted.bytes;
  }
  const std::size_t batches = submitted.sequences.size(), bytes = submitted.bytes;
  job.service = service_;
  job.done = [self = shared_from_this(), what = std::move(submitted)](
                 const std::vector<Outcome>& outcomes) { self->OnDecided(what, outcomes); };
  const bool accepted = streams_->committer.Submit(std::move(job));
  MutexLock lock(mutex_);
  reading_ = false;
  if (!accepted) {
    --jobs_;
    batches_ -= batches;
    bytes_ -= bytes;
    End(Busy());
  }
  Advance();
}

void PublishStream::OnDecided(const Submitted& submitted, const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    streams_->Count(outcome.status, submitted.at);
    const bool usual = outcome.status.ok() || outcome.status.code() == StatusCode::kAborted;
    if (usual) continue;  // a watched key changed: its publisher tries again
    streams_->log.Warn(streams_->refusals, "publish refused",
                       {{"service", service_}, {"error", outcome.status}});
  }
  MutexLock lock(mutex_);
  --jobs_;
  batches_ -= submitted.sequences.size();
  bytes_ -= submitted.bytes;
  if (finished_) return;
  if (!greeted_) Greet();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    AppendResult(submitted.sequences[i], outcomes[i], answers_);
    for (const auto& [write, value] : outcomes[i].old) answer_bytes_ += value.size();
    has_answers_ = true;
  }
  Advance();
}

// Behind the first job, so that what an earlier stream of this publisher had under way is decided.
void PublishStream::Greet() {
  greeted_ = has_answers_ = true;
  const auto last = streams_->store.LastSequence(PublisherKey(service_, parser_.publisher_id()));
  if (!last.ok()) return End(last.status());
  answers_.set_epoch(common::FormatEpoch(streams_->store.epoch()));
  answers_.set_last_sequence(*last);
}

void PublishStream::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  if (!ok) broken_ = true;
  Advance();
}

void PublishStream::OnCancel() {
  MutexLock lock(mutex_);
  broken_ = true;
  Advance();
}

void PublishStream::OnDone() {
  streams_->log.Debug("publisher gone", {{"service", service_}, {"peer", peer_}});
  streams_->Remove(this);
  self_.reset();  // the last line: `this` may be gone
}

void PublishStream::End(common::Status status) {
  if (!end_) end_ = std::move(status);
}

void PublishStream::Advance() {
  if (finished_) return;
  if (broken_) {
    if (writing_) return;
    finished_ = true;
    return Finish(grpc::Status::CANCELLED);
  }
  if (has_answers_ && !writing_) {
    bool own = false;
    output_.Clear();  // gRPC aborts when asked to fill a buffer that holds something
    grpc::SerializationTraits<tributary::v1::PublishResponse>::Serialize(answers_, &output_, &own);
    answers_.Clear();
    has_answers_ = false;
    answer_bytes_ = 0;
    writing_ = true;
    StartWrite(&output_);
  }
  if (end_ && jobs_ == 0 && !writing_) {
    finished_ = true;
    return Finish(common::ToGrpc(*end_));
  }
  const std::size_t unanswered = batches_ + static_cast<std::size_t>(answers_.results_size());
  if (!end_ && !reading_ && unanswered < common::kPublisherBatchesInFlightMax &&
      bytes_ + answer_bytes_ < common::kPublishBytesInFlightMax) {
    reading_ = true;
    StartRead(&input_);
  }
}

}  // namespace cp
