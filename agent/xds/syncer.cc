#include "agent/xds/syncer.h"

#include <algorithm>
#include <random>
#include <utility>

#include "common/limits.h"

namespace agent {
namespace {

constexpr const char* kMethod =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
constexpr std::size_t kAskedMax = 2048;  // batches of questions that wait, well below the next
constexpr std::size_t kMailboxMax = 4096;  // one message, one end; the rest are faults

}  // namespace

Syncer::Syncer(SyncerOptions options, const common::Clock& clock, std::unique_ptr<Writer> writer,
               StatusBoard& board, common::Log& log)
    : options_(std::move(options)),
      clock_(clock),
      writer_(std::move(writer)),
      core_(options_.sync, clock, *writer_, board, *this, log),
      backoff_(common::kReconnectBackoffMin, common::kReconnectBackoffMax, std::random_device()()),
      mailbox_(kMailboxMax) {
  CHECK(!options_.control_planes.empty());
}

Syncer::~Syncer() {
  mailbox_.Close();
  thread_.Join();
}

common::Status Syncer::Start() {
  RETURN_IF_ERROR(core_.Start());
  thread_ = common::Thread("sync", [this] { Run(); });
  return common::OkStatus();
}

void Syncer::ReportFault(const common::Collection& collection) {
  // Refused: so many faults wait that this one is among them, or it is shutting down.
  static_cast<void>(mailbox_.Post(collection));
}

void Syncer::Ask(std::vector<DemandQuestion> questions) {
  const auto asked = std::make_shared<std::vector<DemandQuestion>>(std::move(questions));
  if (asked_.fetch_add(1) < kAskedMax && mailbox_.Post(asked)) return;
  asked_.fetch_sub(1);
  for (const DemandQuestion& question : *asked) {
    question.done({.status = common::Error(common::StatusCode::kResourceExhausted,
                                           "too many reads wait, or the agent stops")});
  }
}

void Syncer::Handle(const Asked& asked) {
  asked_.fetch_sub(1);
  core_.OnAsked(std::move(*asked));
}

void Syncer::Run() {
  common::MonotonicTime next = clock_.Now();
  while (!mailbox_.closed()) {
    for (const Event& event : mailbox_.WaitAll(next - clock_.Now())) {
      std::visit([this](const auto& what) { Handle(what); }, event);
    }
    if (stream_ == nullptr && clock_.Now() >= retry_at_) Connect();
    trim_.Step(clock_.Now());
    next = core_.Tick();
    if (const auto due = trim_.due()) next = std::min(next, *due);
    if (stream_ == nullptr) next = std::min(next, retry_at_);
  }
  stream_.reset();
}

void Syncer::Connect() {
  const std::string& address = options_.control_planes[next_address_];
  const std::uint64_t id = ++stream_id_;
  core_.OnConnecting(address);
  common::ByteStream::Handlers handlers{
      .on_message =
          [this, id](std::shared_ptr<const std::string> bytes) {
            static_cast<void>(mailbox_.Post(Received{id, std::move(bytes)}));
          },
      .on_closed =
          [this, id](common::Status why) {
            static_cast<void>(mailbox_.Post(Closed{id, std::move(why)}));
          }};
  closing_.reset();
  stream_ = common::ByteStream::Open(common::DialStream(address, options_.credentials), kMethod, {},
                                     std::move(handlers));
  core_.OnOpened();
}

void Syncer::Handle(const Received& received) {
  if (stream_ == nullptr || received.stream != stream_id_) return;
  stream_->ReadNext();
  core_.OnResponse(received.bytes);
  trim_.OnMessage(received.bytes->size(), clock_.Now());
}

void Syncer::Handle(const Closed& closed) {
  if (closed.stream != stream_id_) return;
  stream_.reset();
  if (core_.proved()) {
    backoff_.Reset();
  } else {
    next_address_ = (next_address_ + 1) % options_.control_planes.size();
  }
  core_.OnClosed(closing_.value_or(closed.why));
  retry_at_ = clock_.Now() + backoff_.Next();
}

void Syncer::Handle(const common::Collection& faulted) { core_.OnFault(faulted); }

void Syncer::Send(const common::DeltaRequest& request) {
  if (stream_ != nullptr) stream_->Write(common::EncodeDeltaRequest(request));
}

void Syncer::Close(const common::Status& why) {
  if (stream_ == nullptr) return;
  closing_ = why;
  stream_->Cancel();
}

}  // namespace agent
