// ImportWindow: the batches of an import on their way: what was sent, what is durable, what must
// be sent again after a lost stream, and where an earlier run of the same import ended.
//
// Thread: one owner; pure, no I/O, clock or thread.  Lifetime: one import; outlives its streams.
// Each stream begins with a greeting, whose answer says how far the control plane has come with
// this publisher id. Batches before its last kImportBatchesInFlightMax are done and not sent;
// those are sent again and answered from its memory, so that a refusal in an earlier run is not
// overlooked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "common/status.h"
#include "tributary/v1/publisher.pb.h"

namespace ctl {

class ImportWindow {
 public:
  enum class Verdict {
    kGoOn,
    kRetry,      // the control plane is short of something: back off, then a new stream
    kStartOver,  // an earlier run left gaps: read the file from its begin (see StartOver)
  };

  explicit ImportWindow(std::string publisher_id) : publisher_id_(std::move(publisher_id)) {}

  // The first message of a stream. What was undecided will be sent again.
  tributary::v1::PublishRequest Greeting();
  // False: wait for an answer first.
  bool CanAdd() const;
  // `is_last`: with it the control plane's memory of this import is dropped.
  // REQUIRES: CanAdd(); sequences grow by one from 1.
  void Add(tributary::v1::Batch batch, bool is_last);
  // The next message to send; absent: nothing may be sent. Call until absent.
  std::optional<tributary::v1::PublishRequest> Next();
  // Any other status than OK: the control plane has refused a batch for good.
  common::StatusOr<Verdict> OnResponse(const tributary::v1::PublishResponse& response);
  // Forgets all; the next greeting makes the control plane forget, too.
  void StartOver();

  bool greeted() const { return greeted_; }
  bool idle() const { return waiting_.empty(); }
  std::uint64_t batches_done() const { return batches_done_; }  // skipped ones included
  std::uint64_t records_done() const { return records_done_; }
  std::uint64_t batches_skipped() const { return batches_skipped_; }
  // Why the last kRetry.
  const common::Status& retry_reason() const { return retry_reason_; }

 private:
  struct Waiting {
    tributary::v1::Batch batch;
    bool is_last = false;
  };

  std::uint64_t FirstToSend() const;
  common::StatusOr<Verdict> OnResult(const tributary::v1::Result& result);

  const std::string publisher_id_;
  bool forget_ = false;  // with the next greeting
  bool greeted_ = false;
  std::uint64_t resumed_ = 0;  // what the first greeting's answer said
  bool resume_known_ = false;
  std::deque<Waiting> waiting_;  // added, not yet known to be durable; in sequence
  std::size_t sent_ = 0;         // of waiting_, on this stream
  std::uint64_t batches_done_ = 0;
  std::uint64_t records_done_ = 0;
  std::uint64_t batches_skipped_ = 0;
  common::Status retry_reason_;
};

}  // namespace ctl
