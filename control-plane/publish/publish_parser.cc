#include "control-plane/publish/publish_parser.h"

#include <utility>

#include "common/limits.h"
#include "control-plane/store/validate.h"

namespace cp {
namespace {

using common::InvalidArgument;

common::Status TakeOptions(const tributary::v1::Write& from, Write& write) {
  write.expiry = {
      .at_ms = from.expires_at_ms(), .in_ms = from.expires_in_ms(), .keep = from.keep_expiry()};
  write.return_old = from.return_old();
  switch (from.condition()) {
    case tributary::v1::Write::ALWAYS:
      break;
    case tributary::v1::Write::IF_ABSENT:
      write.condition = Condition::kIfAbsent;
      break;
    case tributary::v1::Write::IF_PRESENT:
      write.condition = Condition::kIfPresent;
      break;
    default:  // ignored, it would be applied where it must not
      return InvalidArgument("a write of dataset \"{}\" has condition {}, which is not known",
                             write.dataset, static_cast<int>(from.condition()));
  }
  return common::OkStatus();
}

common::StatusOr<Check> TakeCheck(tributary::v1::Check& from) {
  Check check{.dataset = std::move(*from.mutable_dataset()), .key = std::move(*from.mutable_key())};
  if (from.version().empty() && from.absent_since().empty()) return check;
  if (!from.version().empty() && !from.absent_since().empty()) {
    return InvalidArgument("a check of dataset \"{}\" has a version and absent_since",
                           check.dataset);
  }
  const bool absent = from.version().empty();
  const std::string& text = absent ? from.absent_since() : from.version();
  auto& version = absent ? check.absent_since : check.version;
  version = common::ParseVersion(text);
  if (version) return check;
  return InvalidArgument("a check of dataset \"{}\" has {} \"{}\", which is no version",
                         check.dataset, absent ? "absent_since" : "version", text);
}

common::StatusOr<Write> TakeWrite(tributary::v1::Write& from) {
  Write write{.dataset = std::move(*from.mutable_dataset()),
              .key = std::move(*from.mutable_key()),
              .content_type = std::move(*from.mutable_content_type())};
  RETURN_IF_ERROR(TakeOptions(from, write));
  switch (from.change_case()) {
    case tributary::v1::Write::kPut:
      write.value = std::move(*from.mutable_put());
      return write;
    case tributary::v1::Write::kDelete:
      if (from.delete_()) return write;
      return InvalidArgument("a write of dataset \"{}\" has delete: false; leave such writes out",
                             write.dataset);
    case tributary::v1::Write::CHANGE_NOT_SET:
      break;
  }
  return InvalidArgument("a write of dataset \"{}\" neither puts nor deletes", write.dataset);
}

}  // namespace

common::Status PublishParser::TakePublisher(const std::string& publisher_id) {
  if (publisher_id_.empty()) {
    if (publisher_id.empty() || publisher_id.size() > common::kPublisherIdBytesMax) {
      return InvalidArgument("publisher_id of the first message has {} bytes, 1 to {} are allowed",
                             publisher_id.size(), common::kPublisherIdBytesMax);
    }
    publisher_id_ = publisher_id;
  } else if (!publisher_id.empty() && publisher_id != publisher_id_) {
    return InvalidArgument("publisher_id changed within the stream; open a stream for each");
  }
  return common::OkStatus();
}

common::StatusOr<Batch> PublishParser::TakeBatch(tributary::v1::Batch& from) {
  if (from.sequence() <= last_sequence_) {
    return InvalidArgument("sequence {} follows {}; sequences begin with 1 and grow",
                           from.sequence(), last_sequence_);
  }
  last_sequence_ = from.sequence();
  Batch batch{.sequence = from.sequence()};
  batch.writes.reserve(static_cast<std::size_t>(from.writes_size()));
  for (tributary::v1::Write& write : *from.mutable_writes()) {
    ASSIGN_OR_RETURN(Write taken, TakeWrite(write));
    batch.writes.push_back(std::move(taken));
  }
  for (tributary::v1::Check& check : *from.mutable_checks()) {
    ASSIGN_OR_RETURN(Check taken, TakeCheck(check));
    batch.checks.push_back(std::move(taken));
  }
  return batch;
}

common::StatusOr<PublishJob> PublishParser::Take(tributary::v1::PublishRequest request) {
  RETURN_IF_ERROR(TakePublisher(request.publisher_id()));
  const auto count = static_cast<std::size_t>(request.batches_size());
  if (count > common::kPublisherBatchesInFlightMax) {
    return InvalidArgument("the message has {} batches, at most {} are allowed", count,
                           common::kPublisherBatchesInFlightMax);
  }
  PublishJob job{.publisher_id = publisher_id_,
                 .settled = request.settled(),
                 .forget = request.forget()};
  std::size_t old_values = 0;
  for (tributary::v1::Batch& batch : *request.mutable_batches()) {
    ASSIGN_OR_RETURN(Batch taken, TakeBatch(batch));
    old_values += OldValuesAsked(taken);
    if (old_values > kMessageOldValuesMax) {
      return InvalidArgument("the message asks for more than {} old values; send its batches apart",
                             kMessageOldValuesMax);
    }
    job.batches.push_back(std::move(taken));
  }
  return job;
}

void AppendResult(std::uint64_t sequence, const Outcome& outcome,
                  tributary::v1::PublishResponse& response) {
  tributary::v1::Result& result = *response.add_results();
  result.set_sequence(sequence);
  result.set_code(outcome.status.raw_code());
  if (outcome.status.ok()) {
    result.set_revision(outcome.revision);
    result.set_deleted(outcome.deleted);
    result.set_skipped(outcome.skipped);
    for (const auto& [write, value] : outcome.old) {
      tributary::v1::OldValue& old = *result.add_old();
      old.set_write(write);
      old.set_value(value);
    }
  } else {
    result.set_message(std::string(common::Message(outcome.status)));
  }
}

}  // namespace cp
