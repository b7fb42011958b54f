#include "agent/remote/read_queue.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "common/read_limits.h"

namespace agent {
namespace {

using common::Error;
using common::MonotonicTime;
using common::Status;
using common::StatusCode;

ReadAnswer Failure(Status status) { return {.status = std::move(status), .entries = {}}; }

ReadAnswer TimeIsUp() {
  return Failure(Error(StatusCode::kDeadlineExceeded,
                       "no answer from the control plane within the read's timeout"));
}

// The control plane was not reached, or did not answer: another try may help.
bool IsOutage(StatusCode code) {
  return code == StatusCode::kUnavailable || code == StatusCode::kDeadlineExceeded ||
         code == StatusCode::kCancelled || code == StatusCode::kInternal ||
         code == StatusCode::kUnknown;
}

}  // namespace

void ReadQueue::Add(ReadQuestion question, MonotonicTime now) {
  ++totals_.questions;
  Waiting waiting{.question = std::move(question)};
  const std::size_t keys = waiting.question.keys.size();
  waiting_keys_ += keys;  // Reply takes them off again
  if (keys > common::kReaderKeysMax) {
    return Reply(waiting, Failure(Error(StatusCode::kOutOfRange,
                                        "{} keys in one read, at most {} are allowed", keys,
                                        common::kReaderKeysMax)));
  }
  if (waiting_keys_ > common::kRemoteReadsMax) {
    return Reply(waiting, Failure(Error(StatusCode::kResourceExhausted,
                                        "{} keys wait for the control plane already",
                                        waiting_keys_ - keys)));
  }
  if (breaker_.open(now)) {
    ++totals_.refused;
    return Reply(waiting,
                 Failure(Error(StatusCode::kUnavailable,
                               "the control plane does not answer ({}); not asked again before a "
                               "moment has passed",
                               last_error_)));
  }
  waiting_.push_back(std::move(waiting));
}

// --- calls ------------------------------------------------------------------------------------

std::optional<ReadQueue::Call> ReadQueue::Next(MonotonicTime now) {
  if (waiting_.empty() || under_way_.size() >= common::kRemoteCallsMax) return std::nullopt;
  if (!breaker_.MayCall(now, !under_way_.empty())) return std::nullopt;
  Call call{.id = next_id_++, .dataset = waiting_.front().question.dataset, .keys = {}};
  UnderWay under_way{.questions = {}, .position = {}, .sent = now};
  Gather(call, under_way);
  ++totals_.calls;
  totals_.keys += call.keys.size();
  under_way_.emplace(call.id, std::move(under_way));
  return call;
}

void ReadQueue::Gather(Call& call, UnderWay& under_way) {
  std::deque<Waiting> left;
  for (Waiting& waiting : waiting_) {
    if (Fits(waiting, call, under_way)) {
      Join(std::move(waiting), call, under_way);
    } else {
      left.push_back(std::move(waiting));
    }
  }
  waiting_ = std::move(left);
}

bool ReadQueue::Fits(const Waiting& waiting, const Call& call, const UnderWay& under_way) const {
  if (under_way.questions.empty()) return true;
  return waiting.question.dataset == call.dataset && !waiting.alone &&
         !under_way.questions.front().alone &&
         call.keys.size() + waiting.question.keys.size() <= common::kReaderKeysMax;
}

void ReadQueue::Join(Waiting waiting, Call& call, UnderWay& under_way) {
  for (const std::string& key : waiting.question.keys) {
    if (under_way.position.emplace(key, call.keys.size()).second) call.keys.push_back(key);
  }
  call.deadline = std::max(call.deadline, waiting.question.deadline);
  under_way.questions.push_back(std::move(waiting));
}

// --- answers ----------------------------------------------------------------------------------

void ReadQueue::OnAnswer(std::uint64_t id, ReadAnswer answer, MonotonicTime now) {
  auto node = under_way_.extract(id);
  if (node.empty()) return;
  UnderWay& under_way = node.mapped();
  if (answer.status.ok() && answer.entries.size() != under_way.position.size()) {
    answer.status = Error(StatusCode::kInternal, "{} entries in the answer to {} keys",
                          answer.entries.size(), under_way.position.size());
  }
  if (IsOutage(answer.status.code())) return OnFailed(std::move(under_way), answer.status, now);
  breaker_.OnSuccess();
  totals_.open = false;
  if (answer.status.code() == StatusCode::kOutOfRange && under_way.questions.size() > 1) {
    return Retry(std::move(under_way), /*alone=*/true);
  }
  answer.as_of = under_way.sent;
  for (Waiting& waiting : under_way.questions) Deliver(under_way, waiting, answer);
  for (const Waiting& waiting : under_way.questions) waiting_keys_ -= waiting.question.keys.size();
}

void ReadQueue::Deliver(UnderWay& under_way, Waiting& waiting, const ReadAnswer& answer) {
  ReadAnswer own{
      .status = answer.status, .entries = {}, .epoch = answer.epoch, .as_of = answer.as_of};
  if (answer.status.ok()) {
    for (const std::string& key : waiting.question.keys) {
      own.entries.push_back(answer.entries[under_way.position.at(key)]);
    }
  }
  waiting.question.done(std::move(own));
}

void ReadQueue::OnFailed(UnderWay under_way, const Status& status, MonotonicTime now) {
  // Readers with very little time do not make an outage.
  if (under_way.questions.empty() && now - under_way.sent < common::kRemoteSilenceMin) return;
  ++totals_.failures;
  last_error_ = std::string(common::Message(status));
  Retry(std::move(under_way), /*alone=*/false);
  if (!breaker_.OnFailure(now)) return;
  totals_.open = true;
  RefuseWaiting(
      Error(StatusCode::kUnavailable, "the control plane does not answer: {}", last_error_));
}

// In front of what came later.
void ReadQueue::Retry(UnderWay under_way, bool alone) {
  for (auto it = under_way.questions.rbegin(); it != under_way.questions.rend(); ++it) {
    it->alone = it->alone || alone;
    waiting_.push_front(std::move(*it));
  }
}

void ReadQueue::RefuseWaiting(const Status& status) {
  for (Waiting& waiting : std::exchange(waiting_, {})) Reply(waiting, Failure(status));
}

void ReadQueue::Reply(Waiting& waiting, ReadAnswer answer) {
  waiting_keys_ -= waiting.question.keys.size();
  waiting.question.done(std::move(answer));
}

// --- time -------------------------------------------------------------------------------------

std::vector<std::uint64_t> ReadQueue::Expire(MonotonicTime now) {
  const auto expire = [&](Waiting& waiting) {
    if (waiting.question.deadline > now) return false;
    Reply(waiting, TimeIsUp());
    return true;
  };
  std::erase_if(waiting_, expire);
  std::vector<std::uint64_t> idle;
  for (auto& [id, under_way] : under_way_) {
    std::erase_if(under_way.questions, expire);
    if (under_way.questions.empty()) idle.push_back(id);
  }
  return idle;
}

std::optional<MonotonicTime> ReadQueue::next_event(MonotonicTime now) const {
  std::optional<MonotonicTime> next;
  const auto earlier = [&](MonotonicTime time) { next = std::min(next.value_or(time), time); };
  for (const Waiting& waiting : waiting_) earlier(waiting.question.deadline);
  for (const auto& [id, under_way] : under_way_) {
    for (const Waiting& waiting : under_way.questions) earlier(waiting.question.deadline);
  }
  if (!waiting_.empty() && breaker_.retry_at() > now) earlier(breaker_.retry_at());
  return next;
}

void ReadQueue::Abandon() {
  const Status status = Error(StatusCode::kUnavailable, "the agent is shutting down");
  RefuseWaiting(status);
  for (auto& [id, under_way] : under_way_) {
    for (Waiting& waiting : under_way.questions) Reply(waiting, Failure(status));
  }
  under_way_.clear();
}

}  // namespace agent
