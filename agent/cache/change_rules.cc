#include "agent/cache/change_rules.h"

#include "common/limits.h"

namespace agent {

using common::Collection;
using common::OkStatus;
using common::Status;

namespace {

Status ValidateChange(const Collection& collection, const Change& change) {
  RETURN_IF_ERROR(common::ValidateKey(change.key));
  if (!collection.Covers(change.key)) {
    return common::InvalidArgument("key '{}' does not begin with the prefix '{}' of its collection",
                                   change.key, collection.prefix);
  }
  if (!change.entry) return OkStatus();
  if (change.entry->value.size() > common::kValueBytesMax) {
    return common::InvalidArgument("value of '{}' has {} bytes, at most {} are allowed", change.key,
                                   change.entry->value.size(), common::kValueBytesMax);
  }
  if (change.entry->content_type.size() > common::kContentTypeBytesMax) {
    return common::InvalidArgument("content type of '{}' has {} bytes, at most {} are allowed",
                                   change.key, change.entry->content_type.size(),
                                   common::kContentTypeBytesMax);
  }
  if (change.version_text.size() > kVersionTextBytesMax) {
    return common::InvalidArgument("version of '{}' has {} bytes, at most {} can be kept",
                                   change.key, change.version_text.size(), kVersionTextBytesMax);
  }
  if (change.version.epoch >> 48 == 0) return OkStatus();
  return common::InvalidArgument("epoch of '{}' has more than 48 bits", change.key);
}

}  // namespace

Status ValidateChanges(const Collection& collection, std::span<const Change> changes) {
  for (const Change& change : changes) RETURN_IF_ERROR(ValidateChange(collection, change));
  return OkStatus();
}

}  // namespace agent
