#include "agent/publish/publish_queue.h"

#include <algorithm>
#include <utility>

#include "common/names.h"
#include "common/version.h"

namespace agent {
namespace {

using common::Error;
using common::Status;
using common::StatusCode;

std::size_t BytesOf(const WriteBatch& batch) {
  std::size_t bytes = 0;
  for (const SocketWrite& write : batch.writes) {
    bytes += write.key.size() + (write.value ? write.value->size() : 0);
  }
  for (const SocketCheck& check : batch.checks) bytes += check.key.size();
  return bytes;
}

// Of the old values that its outcome may carry: they share a message as well.
std::size_t AnswerBytes(const WriteBatch& batch) {
  const auto asks = [](const SocketWrite& write) { return write.options.get; };
  return static_cast<std::size_t>(std::ranges::count_if(batch.writes, asks)) *
         common::kValueBytesMax;
}

Status CheckWrite(const SocketWrite& write) {
  RETURN_IF_ERROR(common::ValidateDatasetName(write.dataset));
  if (write.key.size() > common::kKeyBytesMax) {
    return Error(StatusCode::kOutOfRange, "key has {} bytes, at most {} are allowed",
                 write.key.size(), common::kKeyBytesMax);
  }
  RETURN_IF_ERROR(common::ValidateKey(write.key));
  if (!write.value || write.value->size() <= common::kValueBytesMax) return common::OkStatus();
  return Error(StatusCode::kOutOfRange, "value has {} bytes, at most {} are allowed",
               write.value->size(), common::kValueBytesMax);
}

// The limits that hold for every dataset; the control plane checks the rest.
Status CheckBatch(const WriteBatch& batch, std::size_t bytes) {
  const std::vector<SocketWrite>& writes = batch.writes;
  if (writes.empty()) return common::InvalidArgument("nothing to write");
  if (writes.size() > common::kBatchEntriesMax) {
    return Error(StatusCode::kOutOfRange, "{} writes in one batch, at most {} are allowed",
                 writes.size(), common::kBatchEntriesMax);
  }
  if (bytes > common::kBatchBytesMax) {
    return Error(StatusCode::kOutOfRange, "batch has {} bytes, at most {} are allowed", bytes,
                 common::kBatchBytesMax);
  }
  for (const SocketWrite& write : writes) RETURN_IF_ERROR(CheckWrite(write));
  return common::OkStatus();
}

void EncodeOptions(const SetOptions& options, tributary::v1::Write& write) {
  if (options.condition == SetOptions::Condition::kIfAbsent) {
    write.set_condition(tributary::v1::Write::IF_ABSENT);
  } else if (options.condition == SetOptions::Condition::kIfPresent) {
    write.set_condition(tributary::v1::Write::IF_PRESENT);
  }
  write.set_expires_at_ms(options.expires_at_ms);
  write.set_expires_in_ms(options.expires_in_ms);
  write.set_keep_expiry(options.keep_ttl);
  write.set_return_old(options.get);
}

WriteOutcome OutcomeOf(const tributary::v1::Result& result, const std::string& epoch) {
  WriteOutcome outcome;
  outcome.skipped = result.skipped();
  for (const tributary::v1::OldValue& old : result.old()) {
    outcome.old.emplace_back(old.write(), old.value());
  }
  if (result.code() != 0) {
    outcome.status = Status(static_cast<StatusCode>(result.code()), result.message());
    return outcome;
  }
  const auto version = common::ParseVersion(fmt::format("{}.{}", epoch, result.revision()));
  if (version) outcome.version = *version;
  return outcome;
}

}  // namespace

void PublishQueue::Submit(WriteBatch batch, Done done, common::MonotonicTime now) {
  Pending& pending = pending_.emplace_back();
  pending.bytes = BytesOf(batch);
  pending.done = std::move(done);
  pending.deadline = now + timeout_;
  Status checked = CheckBatch(batch, pending.bytes);
  if (checked.ok() && waiting_bytes_ + pending.bytes > common::kPublishWaitingBytesMax) {
    checked = Error(StatusCode::kUnavailable,
                    "{} bytes of writes wait for the control plane already; it was not applied",
                    waiting_bytes_);
  }
  if (checked.ok()) {
    pending.batch = std::move(batch);
    waiting_bytes_ += pending.bytes;
    return;
  }
  pending.bytes = 0;
  pending.outcome = WriteOutcome{.status = checked};
  Settle();
}

void PublishQueue::OnStreamOpened() {
  open_ = true;
  introduced_ = false;
}

void PublishQueue::OnStreamClosed(const Status& why) {
  open_ = false;
  in_flight_ = 0;
  last_error_ = std::string(common::Message(why));
  for (Pending& pending : pending_) {
    pending.in_flight = false;
    // Whoever wrote it has gone on: nobody waits for the outcome.
    if (!pending.done && !pending.outcome) pending.outcome.emplace();
  }
  Settle();
}

std::optional<tributary::v1::PublishRequest> PublishQueue::Next() {
  if (!open_) return std::nullopt;
  tributary::v1::PublishRequest request;
  std::size_t bytes = 0;
  for (Pending& pending : pending_) {
    if (in_flight_ >= common::kPublisherBatchesInFlightMax) break;
    if (pending.in_flight || pending.outcome || !pending.done) continue;
    const std::size_t cost = pending.bytes + AnswerBytes(pending.batch);
    if (bytes > 0 && bytes + cost > common::kPublishMessageBytesTarget) break;
    if (pending.sequence == 0) pending.sequence = next_sequence_++;
    pending.in_flight = pending.was_sent = true;
    ++in_flight_;
    bytes += cost;
    Encode(pending, *request.add_batches());
  }
  if (request.batches().empty()) return std::nullopt;
  request.set_settled(pending_.front().sequence - 1);
  if (!std::exchange(introduced_, true)) request.set_publisher_id(publisher_id_);
  return request;
}

void PublishQueue::Encode(const Pending& pending, tributary::v1::Batch& batch) {
  batch.set_sequence(pending.sequence);
  for (const SocketWrite& from : pending.batch.writes) {
    tributary::v1::Write& write = *batch.add_writes();
    write.set_dataset(from.dataset);
    write.set_key(from.key);
    if (from.value) {
      write.set_put(*from.value);
    } else {
      write.set_delete_(true);
    }
    EncodeOptions(from.options, write);
  }
  for (const SocketCheck& from : pending.batch.checks) {
    tributary::v1::Check& check = *batch.add_checks();
    check.set_dataset(from.dataset);
    check.set_key(from.key);
    if (from.version) {
      check.set_version(common::FormatVersion(*from.version));
    } else {
      check.set_absent_since(common::FormatVersion(from.absent_since));
    }
  }
}

Status PublishQueue::OnResponse(const tributary::v1::PublishResponse& response) {
  if (!response.epoch().empty()) epoch_ = response.epoch();
  auto next = pending_.begin();
  for (const tributary::v1::Result& result : response.results()) {
    const auto is_due = [&](const Pending& pending) {
      return pending.in_flight && pending.sequence == result.sequence();
    };
    auto it = std::find_if(next, pending_.end(), is_due);  // answers come in order, mostly
    if (it == pending_.end()) it = std::ranges::find_if(pending_, is_due);
    if (it == pending_.end()) continue;  // decided before
    next = it + 1;
    if (result.code() < 0 || result.code() > 16) {
      return common::InvalidArgument("publish result with code {}", result.code());
    }
    it->outcome = OutcomeOf(result, epoch_);
    it->in_flight = false;
    --in_flight_;
  }
  Settle();
  return common::OkStatus();
}

// Hands out outcomes from the front, so that they come in the order of the Submits.
void PublishQueue::Settle() {
  while (!pending_.empty() && pending_.front().outcome) {
    Pending settled = std::move(pending_.front());
    pending_.pop_front();
    waiting_bytes_ -= settled.bytes;
    if (settled.done) settled.done(*std::move(settled.outcome));
  }
}

Status PublishQueue::Unavailable(const Pending& pending, std::string_view why) const {
  return Error(StatusCode::kUnavailable, "{}; the write {}", why,
               pending.was_sent ? "may have been applied" : "was not sent and is not applied");
}

void PublishQueue::Expire(common::MonotonicTime now) {
  for (Pending& pending : pending_) {
    if (pending.deadline > now) break;  // deadlines come in order of Submit
    if (!pending.done || pending.outcome) continue;
    const std::string why =
        open_ ? fmt::format("no answer from the control plane within {} ms", timeout_.count())
              : fmt::format("control plane out of reach for {} ms: {}", timeout_.count(),
                            last_error_);
    WriteOutcome outcome{.status = Unavailable(pending, why)};
    std::exchange(pending.done, nullptr)(std::move(outcome));
    // In flight: its place in the window is free only when it is decided or the stream is lost.
    if (!pending.in_flight) pending.outcome.emplace();
  }
  Settle();
}

std::optional<common::MonotonicTime> PublishQueue::next_deadline() const {
  for (const Pending& pending : pending_) {
    if (pending.done && !pending.outcome) return pending.deadline;
  }
  return std::nullopt;
}

void PublishQueue::Abandon() {
  for (Pending& pending : pending_) {
    if (!pending.done || pending.outcome) continue;
    WriteOutcome outcome{.status = Unavailable(pending, "the agent is shutting down")};
    pending.outcome = std::move(outcome);
  }
  Settle();
}

}  // namespace agent
