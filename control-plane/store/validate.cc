#include "control-plane/store/validate.h"

#include <algorithm>
#include <string>

#include "common/limits.h"
#include "common/names.h"

namespace cp {
namespace {

using common::Error;
using common::InvalidArgument;
using common::StatusCode;

common::Status TooBig(std::string_view what, std::size_t is, std::size_t max) {
  return Error(StatusCode::kOutOfRange, "{} has {} bytes, at most {} are allowed", what, is, max);
}

common::Status ValidateFrame(const Batch& batch) {
  if (batch.publisher_id.empty() || batch.publisher_id.size() > common::kPublisherIdBytesMax) {
    return InvalidArgument("publisher id has {} bytes, 1 to {} are allowed",
                           batch.publisher_id.size(), common::kPublisherIdBytesMax);
  }
  if (batch.sequence == 0) return InvalidArgument("sequence is 0; sequences begin with 1");
  if (batch.writes.empty()) return InvalidArgument("the batch has no writes");
  if (batch.writes.size() > common::kBatchEntriesMax) {
    return Error(StatusCode::kOutOfRange,
                 "the batch has {} writes, at most {} are allowed; split it", batch.writes.size(),
                 common::kBatchEntriesMax);
  }
  const auto old_values = std::ranges::count_if(batch.writes, &Write::return_old);
  if (static_cast<std::size_t>(old_values) > kBatchOldValuesMax) {
    return Error(StatusCode::kOutOfRange,
                 "{} writes of the batch ask for the old value, at most {} may; split it",
                 old_values, kBatchOldValuesMax);
  }
  const std::size_t bytes = BatchBytes(batch);
  if (bytes <= common::kBatchBytesMax) return common::OkStatus();
  return Error(StatusCode::kOutOfRange, "the batch has {} bytes, at most {} are allowed; split it",
               bytes, common::kBatchBytesMax);
}

// For messages: dataset/key with odd bytes escaped, cut where it gets long.
std::string Where(const Write& write) {
  constexpr std::size_t kShown = 64;
  const bool cut = write.key.size() > kShown;
  return fmt::format("{}/{}{}", write.dataset,
                     common::PercentEncode(std::string_view(write.key).substr(0, kShown)),
                     cut ? "…" : "");
}

common::Status ValidateKey(const Write& write) {
  if (write.key.empty()) return InvalidArgument("a key of dataset {} is empty", write.dataset);
  if (write.key.size() <= common::kKeyBytesMax) return common::OkStatus();
  return TooBig("key " + Where(write), write.key.size(), common::kKeyBytesMax);
}

common::Status ValidateValue(const common::Dataset& dataset, const Write& write) {
  if (!write.value) return common::OkStatus();
  if (write.value->size() > dataset.max_value_bytes) {
    return TooBig("value of " + Where(write), write.value->size(), dataset.max_value_bytes);
  }
  if (write.content_type.size() > common::kContentTypeBytesMax) {
    return TooBig("content type of " + Where(write), write.content_type.size(),
                  common::kContentTypeBytesMax);
  }
  if (common::IsUtf8(write.content_type)) return common::OkStatus();
  return InvalidArgument("content type of {} is not UTF-8", Where(write));
}

common::Status ValidateOptions(const Write& write) {
  const Expiry& expiry = write.expiry;
  const int given =
      (expiry.at_ms != 0 ? 1 : 0) + (expiry.in_ms != 0 ? 1 : 0) + (expiry.keep ? 1 : 0);
  if (!write.value && (given > 0 || write.condition != Condition::kAlways)) {
    return InvalidArgument("{}: a delete takes neither expiry nor condition", Where(write));
  }
  if (given > 1) return InvalidArgument("{}: more than one expiry", Where(write));
  const bool in_range = expiry.at_ms >= 0 && expiry.at_ms <= kExpiryMsMax && expiry.in_ms >= 0 &&
                        expiry.in_ms <= kExpiryMsMax;
  if (in_range) return common::OkStatus();
  return InvalidArgument("{}: an expiry must be positive and lie before the year 10000",
                         Where(write));
}

// Whoever may read an entry may make its own writes depend on it.
common::Status ValidateChecks(const Catalog& catalog, std::string_view service,
                              const Batch& batch) {
  if (batch.checks.size() > kBatchChecksMax) {
    return Error(StatusCode::kOutOfRange, "the batch watches {} keys, at most {} are allowed",
                 batch.checks.size(), kBatchChecksMax);
  }
  for (const Check& check : batch.checks) {
    RETURN_IF_ERROR(common::ValidateDatasetName(check.dataset));
    RETURN_IF_ERROR(catalog.CheckMayConsume(service, check.dataset));
    RETURN_IF_ERROR(common::ValidateKey(check.key));
  }
  return common::OkStatus();
}

}  // namespace

std::string PublisherKey(std::string_view service, std::string_view publisher_id) {
  if (publisher_id.empty()) return std::string();  // has no memory
  return fmt::format("{}/{}", service, publisher_id);
}

std::size_t BatchBytes(const Batch& batch) {
  std::size_t bytes = 0;
  for (const Write& write : batch.writes) {
    bytes += write.key.size() + (write.value ? write.value->size() : 0);
  }
  for (const Check& check : batch.checks) bytes += check.key.size();
  return bytes;
}

std::size_t OldValuesAsked(const Batch& batch) {
  const auto asks = [](const Write& write) { return write.return_old; };
  return static_cast<std::size_t>(std::ranges::count_if(batch.writes, asks));
}

common::Status ValidateBatch(const Catalog& catalog, std::string_view service, const Batch& batch) {
  RETURN_IF_ERROR(ValidateFrame(batch));
  const common::Dataset* dataset = nullptr;  // of the last write: mostly the next one's, too
  for (const Write& write : batch.writes) {
    if (dataset == nullptr || dataset->name != write.dataset) {
      RETURN_IF_ERROR(common::ValidateDatasetName(write.dataset));
      RETURN_IF_ERROR(catalog.CheckMayPublish(service, write.dataset));
      dataset = catalog.FindDataset(write.dataset);
    }
    RETURN_IF_ERROR(ValidateKey(write));
    RETURN_IF_ERROR(ValidateValue(*dataset, write));
    RETURN_IF_ERROR(ValidateOptions(write));
  }
  return ValidateChecks(catalog, service, batch);
}

}  // namespace cp
