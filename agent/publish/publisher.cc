#include "agent/publish/publisher.h"

#include <algorithm>
#include <random>
#include <utility>

#include "common/limits.h"

namespace agent {
namespace {

constexpr const char* kMethod = "/tributary.v1.Publisher/Publish";
constexpr const char* kServiceKey = "tributary-service";
constexpr std::size_t kSubmissionsMax = 100'000;
constexpr std::size_t kMailboxMax = kSubmissionsMax + 64;
constexpr std::chrono::seconds kIdle{60};

std::string NewPublisherId() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

}  // namespace

Publisher::Publisher(PublisherOptions options, const common::Clock& clock, common::Log& log)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      reach_limiter_(clock),
      queue_(NewPublisherId(), options_.timeout),
      backoff_(common::kPublishBackoffMin, common::kPublishBackoffMax, std::random_device()()),
      mailbox_(kMailboxMax) {
  CHECK(!options_.control_planes.empty());
  thread_ = common::Thread("publish", [this] { Run(); });
}

Publisher::~Publisher() {
  mailbox_.Close();
  thread_.Join();
}

void Publisher::Submit(WriteBatch batch, std::function<void(WriteOutcome)> done) {
  auto shared = std::make_shared<std::function<void(WriteOutcome)>>(std::move(done));
  const auto forward = [shared](WriteOutcome outcome) { (*shared)(std::move(outcome)); };
  if (submitted_.fetch_add(1) < kSubmissionsMax &&
      mailbox_.Post(Submission{std::move(batch), forward})) {
    return;
  }
  submitted_.fetch_sub(1);
  (*shared)({.status = common::Error(common::StatusCode::kUnavailable,
                                     "too many writes wait, or the agent is shutting down; the "
                                     "write was not sent and is not applied")});
}

void Publisher::Run() {
  common::MonotonicTime next = clock_.Now() + kIdle;
  while (!mailbox_.closed()) {
    for (Event& event : mailbox_.WaitAll(next - clock_.Now())) {
      std::visit([this](auto& what) { Handle(what); }, event);
    }
    next = Step();
  }
  for (Event& event : mailbox_.TakeAll()) {
    if (auto* submission = std::get_if<Submission>(&event)) Handle(*submission);
  }
  queue_.Abandon();
  stream_.reset();
}

// Does what can be done now; returns when to look again.
common::MonotonicTime Publisher::Step() {
  const common::MonotonicTime now = clock_.Now();
  queue_.Expire(now);
  if (stream_ == nullptr && !queue_.idle() && now >= retry_at_) Connect();
  if (stream_ != nullptr) {
    while (const auto request = queue_.Next()) stream_->Write(request->SerializeAsString());
  }
  common::MonotonicTime next = now + kIdle;
  if (const auto deadline = queue_.next_deadline()) next = std::min(next, *deadline);
  if (stream_ == nullptr && !queue_.idle()) next = std::min(next, retry_at_);
  return next;
}

void Publisher::Handle(Submission& submission) {
  submitted_.fetch_sub(1);
  queue_.Submit(std::move(submission.batch), std::move(submission.done), clock_.Now());
}

void Publisher::Handle(Received& received) {
  if (stream_ == nullptr || received.stream != stream_id_) return;
  stream_->ReadNext();
  backoff_.Reset();
  tributary::v1::PublishResponse response;
  common::Status taken = common::InvalidArgument("not an encoded PublishResponse");
  if (response.ParseFromString(*received.bytes)) taken = queue_.OnResponse(response);
  if (taken.ok()) return;
  log_.Error("publish answer cannot be read", {{"reason", taken}});
  stream_->Cancel();
}

void Publisher::Handle(Closed& closed) {
  if (closed.stream != stream_id_) return;
  stream_.reset();
  queue_.OnStreamClosed(closed.why);
  log_.Warn(reach_limiter_, "publish stream ended", {{"reason", closed.why}});
  next_address_ = (next_address_ + 1) % options_.control_planes.size();
  retry_at_ = clock_.Now() + backoff_.Next();
}

void Publisher::Connect() {
  const std::uint64_t id = ++stream_id_;
  common::ByteStream::Handlers handlers{
      .on_message =
          [this, id](std::shared_ptr<const std::string> bytes) {
            static_cast<void>(mailbox_.Post(Received{id, std::move(bytes)}));
          },
      .on_closed =
          [this, id](common::Status why) {
            static_cast<void>(mailbox_.Post(Closed{id, std::move(why)}));
          }};
  stream_ = common::ByteStream::Open(
      common::DialStream(options_.control_planes[next_address_], options_.credentials), kMethod,
      {{kServiceKey, options_.service}}, std::move(handlers));
  queue_.OnStreamOpened();
}

}  // namespace agent
