#include "control-plane/fanout/collection_feed.h"

namespace cp {

void CollectionFeed::Start(Epoch epoch, const DatasetState& state,
                           const std::optional<common::Cursor>& resume) {
  catching_up_ = true;
  touched_ = true;
  acked.reset();
  denied = common::StatusCode::kOk;
  last_key_.clear();
  table.reset();
  differing_.reset();
  known_ = {};
  const bool usable = resume && resume->epoch == epoch && resume->revision >= state.floor &&
                      resume->revision <= state.head;
  position_ = EndOf(usable ? resume->revision : state.head);
  if (!usable && buckets_ && resume && !resume->last_key) {
    phase_ = Phase::kPrepare;
  } else if (!usable) {
    phase_ = markers_ ? Phase::kBegin : Phase::kLoad;
  } else if (resume->last_key) {
    phase_ = Phase::kLoad;
    last_key_ = *resume->last_key;
  } else {
    phase_ = Phase::kFollow;
    acked = resume->revision;
  }
}

void CollectionFeed::StartRepair(const DatasetState& state,
                                 std::optional<common::BucketSet> differing) {
  CHECK(phase_ == Phase::kAwait);
  table.reset();
  if (differing && differing->size() <= differing->count() / 2 && !BelowFloor(state.floor)) {
    differing_ = std::move(differing);
    phase_ = Phase::kRepair;
  } else {
    position_ = EndOf(state.head);
    phase_ = Phase::kBegin;
  }
}

void CollectionFeed::TableFilled(Revision from) {
  CHECK(phase_ == Phase::kPrepare);
  position_ = EndOf(from);
  phase_ = Phase::kAsk;
}

void CollectionFeed::QuestionSent() {
  CHECK(phase_ == Phase::kAsk);
  phase_ = Phase::kAwait;
}

void CollectionFeed::RepairSent() {
  CHECK(phase_ == Phase::kRepair);
  phase_ = Phase::kLoad;
}

void CollectionFeed::Deny(common::StatusCode why) {
  const bool served = phase_ != Phase::kDenied;
  denied = why;
  acked.reset();
  known_ = {};
  last_key_.clear();
  table.reset();
  differing_.reset();
  phase_ = served && !markers_ ? Phase::kRetract : Phase::kDenied;
}

void CollectionFeed::BeginSent() {
  CHECK(phase_ == Phase::kBegin);
  phase_ = Phase::kLoad;
}

void CollectionFeed::LoadSent(std::string_view last_key, bool reached_end) {
  CHECK(phase_ == Phase::kLoad || phase_ == Phase::kRetract);
  last_key_.assign(last_key);
  if (!reached_end) return;
  last_key_.clear();
  if (phase_ == Phase::kRetract) {
    phase_ = Phase::kDenied;
  } else {
    differing_.reset();
    phase_ = known_.empty() ? Phase::kFollow : Phase::kForget;
  }
}

void CollectionFeed::ForgetSent() {
  CHECK(phase_ == Phase::kForget);
  if (known_.empty()) phase_ = Phase::kFollow;
}

void CollectionFeed::ChangesSent(Position last, bool reached_end, Revision head) {
  CHECK(phase_ == Phase::kFollow);
  position_ = reached_end ? EndOf(head) : last;
  if (!reached_end) return;
  touched_ = false;
  catching_up_ = false;
}

bool CollectionFeed::NeedsHistory() const {
  return phase_ == Phase::kAsk || phase_ == Phase::kRepair || phase_ == Phase::kLoad ||
         phase_ == Phase::kFollow;
}

bool CollectionFeed::HasWork() const {
  switch (phase_) {
    case Phase::kDenied:
    case Phase::kAwait:
      return false;
    case Phase::kFollow:
      return touched_ || catching_up_;
    default:
      return true;
  }
}

}  // namespace cp
