#include "control-plane/fanout/collection_feed.h"

namespace cp {

void CollectionFeed::Start(Epoch epoch, const DatasetState& state,
                           const std::optional<common::Cursor>& resume) {
  catching_up_ = true;
  touched_ = true;
  acked.reset();
  denied = common::StatusCode::kOk;
  last_key_.clear();
  const bool usable = resume && resume->epoch == epoch && resume->revision >= state.floor &&
                      resume->revision <= state.head;
  position_ = EndOf(usable ? resume->revision : state.head);
  if (!usable) {
    phase_ = markers_ ? Phase::kBegin : Phase::kLoad;
  } else if (resume->last_key) {
    phase_ = Phase::kLoad;
    last_key_ = *resume->last_key;
  } else {
    phase_ = Phase::kFollow;
    acked = resume->revision;
  }
}

void CollectionFeed::Deny(common::StatusCode why) {
  const bool served = phase_ != Phase::kDenied;
  denied = why;
  acked.reset();
  known_.clear();
  last_key_.clear();
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

bool CollectionFeed::HasWork() const {
  switch (phase_) {
    case Phase::kDenied:
      return false;
    case Phase::kFollow:
      return touched_ || catching_up_;
    default:
      return true;
  }
}

}  // namespace cp
