// CopyProof: what is known about how fresh and how right one copy is.
//
// Thread: one owner (sync); pure, no I/O or clock.  Lifetime: as the copy.
// A DatasetState answer is not older than the question. A copy at or past the answer's revision is
// fresh as of the moment the question was sent; one that is behind becomes so when it gets there.
// At equal revision the digests of a whole dataset must be equal too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "common/clock.h"
#include "common/digest.h"
#include "common/status.h"
#include "common/version.h"

namespace agent {

// A DatasetState resource.
struct DatasetHead {
  common::Version version;  // epoch, and the last commit that changed the dataset
  std::uint64_t entries = 0;
  common::Digest digest;
  std::int64_t server_time_ms = 0;  // its clock at the answer; 0: it does not tell
};
// INVALID_ARGUMENT says what is wrong with the payload.
common::StatusOr<DatasetHead> ParseDatasetState(std::string_view payload);

class CopyProof {
 public:
  // An answer to the question sent at `asked` (absent: nobody asked, proves nothing). `cursor`:
  // where the copy stands; absent: it is not complete.
  void OnAnswer(const DatasetHead& head, std::optional<common::MonotonicTime> asked,
                const std::optional<common::Version>& cursor);
  // The copy now stands at `cursor`.
  void OnApplied(const common::Version& cursor);
  // Everything that the copy holds was right at `asked`, or is newer.
  void Prove(common::MonotonicTime asked) {
    proven_at_ = std::max(proven_at_.value_or(asked), asked);
  }
  // What was proven does not hold any more: another history, a mismatch, erased.
  void Forget();

  // The newest head heard of; its digest is to be compared when the copy stands exactly there.
  const std::optional<DatasetHead>& head() const { return head_; }
  bool ComparableAt(const common::Version& cursor) const {
    return head_ && head_->version == cursor;
  }
  std::optional<common::MonotonicTime> proven_at() const { return proven_at_; }

 private:
  struct Due {
    common::Version version;
    common::MonotonicTime asked;
  };
  static constexpr std::size_t kDueMax = 16;

  std::optional<DatasetHead> head_;
  std::deque<Due> due_;  // proofs waiting for the copy to get there, oldest first
  std::optional<common::MonotonicTime> proven_at_;
};

}  // namespace agent
