#include "agent/remote/remote_reader.h"

#include <algorithm>
#include <random>
#include <utility>

#include "common/limits.h"
#include "common/read_limits.h"
#include "common/rpc/byte_stream.h"
#include "common/rpc/identity.h"
#include "common/version.h"
#include "tributary/v1/reader.pb.h"

namespace agent {
namespace {

using common::MonotonicTime;
using common::Status;

constexpr const char* kMethod = "/tributary.v1.Reader/Get";
constexpr std::size_t kTurnsMax = 10'000;  // whose questions wait in the mailbox
constexpr std::size_t kMailboxMax = kTurnsMax + common::kRemoteCallsMax * 16;
constexpr std::chrono::seconds kIdle{60};

// 0: not an epoch.
common::Epoch EpochOf(const std::string& text) {
  const auto version = common::ParseVersion(text + ".0");
  return version ? version->epoch : 0;
}

// `head`: of the answer; its epoch is for control planes that do not tell that of the entry.
RemoteEntry EntryOf(tributary::v1::ReadEntry& proto, const common::Version& head) {
  if (!proto.found()) return {.key = std::move(*proto.mutable_key()), .version = head};
  const common::Epoch own = EpochOf(proto.epoch());
  return {.key = std::move(*proto.mutable_key()),
          .found = true,
          .value = std::move(*proto.mutable_value()),
          .content_type = std::move(*proto.mutable_content_type()),
          .version = {.epoch = own != 0 ? own : head.epoch, .revision = proto.revision()},
          .published_at_ms = proto.published_at_ms(),
          .expires_at_ms = proto.expires_at_ms()};
}

ReadAnswer AnswerOf(const common::StatusOr<std::string>& response) {
  if (!response.ok()) return {.status = response.status(), .entries = {}};
  tributary::v1::GetResponse proto;
  if (!proto.ParseFromString(*response)) {
    return {.status = common::Error(common::StatusCode::kInternal, "not an encoded GetResponse"),
            .entries = {}};
  }
  ReadAnswer answer;
  answer.epoch = EpochOf(proto.epoch());
  answer.entries.reserve(static_cast<std::size_t>(proto.entries_size()));
  for (tributary::v1::ReadEntry& entry : *proto.mutable_entries()) {
    answer.entries.push_back(EntryOf(entry, {.epoch = answer.epoch, .revision = proto.head()}));
  }
  return answer;
}

}  // namespace

RemoteReader::RemoteReader(RemoteReaderOptions options, const common::Clock& clock,
                           common::Log& log)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      reach_limiter_(clock),
      queue_(std::random_device()()),
      mailbox_(kMailboxMax) {
  CHECK(!options_.control_planes.empty());
  thread_ = common::Thread("remote", [this] { Run(); });
}

RemoteReader::~RemoteReader() {
  mailbox_.Close();
  thread_.Join();
}

void RemoteReader::Read(std::vector<ReadQuestion> questions) {
  // The mailbox takes a message whole or not at all, so who asked is told from a copy of `done`.
  std::vector<std::function<void(ReadAnswer)>> asked;
  asked.reserve(questions.size());
  for (const ReadQuestion& question : questions) asked.push_back(question.done);
  if (mailbox_.Post(std::move(questions))) return;
  for (const auto& done : asked) {
    done({.status = common::Error(common::StatusCode::kUnavailable,
                                  "too many reads wait, or the agent is shutting down"),
          .entries = {}});
  }
}

ReadQueue::Totals RemoteReader::totals() const {
  common::MutexLock lock(mutex_);
  return totals_;
}

void RemoteReader::PublishTotals() {
  common::MutexLock lock(mutex_);
  totals_ = queue_.totals();
}

void RemoteReader::Run() {
  MonotonicTime next = clock_.Now() + kIdle;
  while (!mailbox_.closed()) {
    for (Event& event : mailbox_.WaitAll(next - clock_.Now())) {
      std::visit([this](auto& what) { Handle(what); }, event);
    }
    next = Step();
    PublishTotals();
  }
  for (Event& event : mailbox_.TakeAll()) {
    if (auto* questions = std::get_if<Questions>(&event)) Handle(*questions);
  }
  queue_.Abandon();
  calls_.clear();
}

// Does what can be done now; returns when to look again.
MonotonicTime RemoteReader::Step() {
  const MonotonicTime now = clock_.Now();
  for (const std::uint64_t id : queue_.Expire(now)) {
    if (const auto call = calls_.find(id); call != calls_.end()) call->second.call->Cancel();
  }
  while (const auto call = queue_.Next(now)) Start(*call);
  return std::min(queue_.next_event(now).value_or(now + kIdle), now + kIdle);
}

void RemoteReader::Handle(Questions& questions) {
  for (ReadQuestion& question : questions) queue_.Add(std::move(question), clock_.Now());
}

void RemoteReader::Handle(Ended& ended) {
  const auto call = calls_.extract(ended.call);
  const Status status = ended.response.status();
  queue_.OnAnswer(ended.call, AnswerOf(ended.response), clock_.Now());
  if (status.code() == common::StatusCode::kUnavailable || queue_.totals().open) {
    Redial(call.mapped().channel);
  }
  if (status.code() != common::StatusCode::kUnavailable) return;
  log_.Warn(reach_limiter_, "read through the control plane failed", {{"reason", status}});
}

// A new channel tries at once, and the next address; the old one would sit out a back-off.
void RemoteReader::Redial(const std::shared_ptr<grpc::Channel>& failed) {
  if (channel_ != failed) return;
  channel_.reset();
  next_address_ = (next_address_ + 1) % options_.control_planes.size();
}

void RemoteReader::Start(const ReadQueue::Call& call) {
  if (channel_ == nullptr) {
    channel_ = common::DialStream(options_.control_planes[next_address_], options_.credentials);
  }
  tributary::v1::GetRequest request;
  request.set_dataset(call.dataset);
  for (const std::string& key : call.keys) request.add_keys(key);
  const auto left = std::chrono::ceil<common::Millis>(call.deadline - clock_.Now());
  auto done = [this, id = call.id](common::StatusOr<std::string> response) {
    static_cast<void>(mailbox_.Post(Ended{id, std::move(response)}));
  };
  UnderWay& under_way = calls_[call.id];
  under_way.channel = channel_;
  under_way.call = common::UnaryCall::Start(
      channel_, kMethod, {{common::kServiceMetadataKey, options_.service}},
      std::max(left, common::Millis(1)), request.SerializeAsString(), std::move(done));
}

}  // namespace agent
