#include "agent/xds/freshness.h"

#include <algorithm>

#include "common/lmdb.h"
#include "tributary/v1/resources.pb.h"

namespace agent {

common::StatusOr<DatasetHead> ParseDatasetState(std::string_view payload) {
  tributary::v1::DatasetState proto;
  if (!proto.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return common::InvalidArgument("not an encoded tributary.v1.DatasetState");
  }
  const auto version = common::ParseVersion(fmt::format("{}.{}", proto.epoch(), proto.revision()));
  if (!version) return common::InvalidArgument("'{}' is not an epoch", proto.epoch());
  if (proto.digest().size() != 16) {
    return common::InvalidArgument("the digest has {} bytes instead of 16", proto.digest().size());
  }
  DatasetHead head{.version = *version,
                   .entries = proto.entries(),
                   .digest = {},
                   .server_time_ms = proto.server_time_ms()};
  head.digest.high = common::lmdb::ReadBigEndian64(proto.digest());
  head.digest.low = common::lmdb::ReadBigEndian64(std::string_view(proto.digest()).substr(8));
  return head;
}

void CopyProof::OnAnswer(const DatasetHead& head, std::optional<common::MonotonicTime> asked,
                         const std::optional<common::Version>& cursor) {
  if (head_ && head_->version.epoch != head.version.epoch) Forget();
  head_ = head;
  if (!asked) return;
  if (due_.size() < kDueMax) due_.push_back({head.version, *asked});
  if (cursor) OnApplied(*cursor);
}

void CopyProof::OnApplied(const common::Version& cursor) {
  while (!due_.empty() && due_.front().version.epoch == cursor.epoch &&
         due_.front().version.revision <= cursor.revision) {
    proven_at_ = std::max(proven_at_.value_or(due_.front().asked), due_.front().asked);
    due_.pop_front();
  }
}

void CopyProof::Forget() {
  due_.clear();
  proven_at_.reset();
}

}  // namespace agent
