#include "control-plane/ctl/import_window.h"

#include <utility>

#include "common/limits.h"
#include "common/rpc/status.h"

namespace ctl {

using common::Status;
using common::StatusCode;
using common::StatusOr;

namespace {

bool IsPassing(StatusCode code) {
  return code == StatusCode::kResourceExhausted || code == StatusCode::kUnavailable ||
         code == StatusCode::kAborted;
}

}  // namespace

tributary::v1::PublishRequest ImportWindow::Greeting() {
  greeted_ = false;
  sent_ = 0;
  tributary::v1::PublishRequest request;
  request.set_publisher_id(publisher_id_);
  request.set_forget(std::exchange(forget_, false));
  return request;
}

std::uint64_t ImportWindow::FirstToSend() const {
  const std::uint64_t kept = common::kImportBatchesInFlightMax;
  return resumed_ < kept ? 1 : resumed_ - kept + 1;
}

bool ImportWindow::CanAdd() const {
  return resume_known_ && waiting_.size() < common::kImportBatchesInFlightMax;
}

void ImportWindow::Add(tributary::v1::Batch batch, bool is_last) {
  CHECK(CanAdd());
  if (batch.sequence() < FirstToSend() && !is_last) {
    ++batches_done_;
    ++batches_skipped_;
    records_done_ += static_cast<std::uint64_t>(batch.writes_size());
    return;
  }
  waiting_.push_back({std::move(batch), is_last});
}

std::optional<tributary::v1::PublishRequest> ImportWindow::Next() {
  if (!greeted_ || sent_ == waiting_.size()) return std::nullopt;
  const Waiting& next = waiting_[sent_++];
  tributary::v1::PublishRequest request;
  *request.add_batches() = next.batch;
  request.set_forget(next.is_last);
  return request;
}

StatusOr<ImportWindow::Verdict> ImportWindow::OnResponse(
    const tributary::v1::PublishResponse& response) {
  if (!greeted_) {
    greeted_ = true;
    if (!resume_known_) resumed_ = response.last_sequence();
    resume_known_ = true;
  }
  for (const tributary::v1::Result& result : response.results()) {
    ASSIGN_OR_RETURN(const Verdict verdict, OnResult(result));
    if (verdict != Verdict::kGoOn) return verdict;
  }
  return Verdict::kGoOn;
}

StatusOr<ImportWindow::Verdict> ImportWindow::OnResult(const tributary::v1::Result& result) {
  if (sent_ == 0 || waiting_.front().batch.sequence() != result.sequence()) {
    return common::Error(StatusCode::kInternal,
                         "the control plane answered batch {}, which was not the next one",
                         result.sequence());
  }
  if (result.code() == 0) {
    ++batches_done_;
    if (result.sequence() <= resumed_) ++batches_skipped_;
    records_done_ += static_cast<std::uint64_t>(waiting_.front().batch.writes_size());
    waiting_.pop_front();
    --sent_;
    return Verdict::kGoOn;
  }
  const Status status = common::StatusOfCode(result.code(), result.message());
  if (result.sequence() <= resumed_) return Verdict::kStartOver;
  if (!IsPassing(status.code())) return status;
  // Later batches of this stream may have been decided, which uses up this sequence: all of them
  // go again, in order, to a control plane that has forgotten them.
  forget_ = true;
  retry_reason_ = status;
  return Verdict::kRetry;
}

void ImportWindow::StartOver() {
  waiting_.clear();
  sent_ = 0;
  greeted_ = resume_known_ = false;
  resumed_ = batches_done_ = records_done_ = batches_skipped_ = 0;
  forget_ = true;
}

}  // namespace ctl
