#include "common/buckets.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "common/digest.h"
#include "common/status.h"

namespace common {
namespace {

constexpr std::size_t kEntriesPerBucket = 16;
constexpr std::size_t kSumDigits = 16;
constexpr std::string_view kRunSeparator = "#b/";
constexpr std::string_view kMaskPrefix = "m1.";
constexpr std::string_view kQuestionPrefix = "d1.";
constexpr std::string_view kRepairPrefix = "r1.";

// Exactly 16 hex digits.
std::optional<std::uint64_t> ParseHex64(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (digits.size() != kSumDigits || !whole) return std::nullopt;
  return value;
}

std::optional<std::size_t> ParseNumber(std::string_view digits) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || std::to_string(value) != digits) return std::nullopt;
  return value;
}

}  // namespace

bool IsBucketCount(std::uint64_t count) {
  return count >= kBucketsMin && count <= kBucketsMax && std::has_single_bit(count);
}

std::size_t BucketCountFor(std::uint64_t entries) {
  std::size_t count = kBucketsMin;
  while (count < kBucketsMax && count * kEntriesPerBucket < entries) count *= 2;
  return count;
}

std::size_t BucketOf(std::string_view key, std::size_t count) {
  return XXH3_64bits(key.data(), key.size()) & (count - 1);
}

void BucketDigests::Add(std::string_view key, const Version& version, std::string_view value) {
  sums_[BucketOf(key, sums_.size())] += EntryHash(key, version, value).low;
}

std::vector<std::pair<std::string, std::string>> BucketDigests::Encode(
    const Collection& collection) const {
  const std::string name = CollectionName(collection);
  std::vector<std::pair<std::string, std::string>> runs;
  for (std::size_t first = 0; first < sums_.size(); first += kBucketsPerRun) {
    std::string digits;
    for (std::size_t i = first; i < first + kBucketsPerRun; ++i) {
      fmt::format_to(std::back_inserter(digits), "{:016x}", sums_[i]);
    }
    runs.emplace_back(FormatRunName(name, first, sums_.size()), std::move(digits));
  }
  return runs;
}

std::optional<BucketDigests> BucketDigests::Decode(const Collection& collection, std::size_t count,
                                                   const FindVersion& find) {
  if (!IsBucketCount(count)) return std::nullopt;
  const std::string name = CollectionName(collection);
  BucketDigests digests(count);
  for (std::size_t first = 0; first < count; first += kBucketsPerRun) {
    const std::optional<std::string_view> digits = find(FormatRunName(name, first, count));
    if (!digits || digits->size() != kBucketsPerRun * kSumDigits) return std::nullopt;
    for (std::size_t i = 0; i < kBucketsPerRun; ++i) {
      const auto sum = ParseHex64(digits->substr(i * kSumDigits, kSumDigits));
      if (!sum) return std::nullopt;
      digests.sums_[first + i] = *sum;
    }
  }
  return digests;
}

BucketSet BucketSet::Difference(const BucketDigests& a, const BucketDigests& b) {
  CHECK(a.count() == b.count());
  BucketSet set(a.count());
  for (std::size_t i = 0; i < a.count(); ++i) {
    if (a.sum(i) != b.sum(i)) set.Add(i);
  }
  return set;
}

std::size_t BucketSet::size() const {
  std::size_t sum = 0;
  for (const std::uint64_t mask : masks_) sum += static_cast<std::size_t>(std::popcount(mask));
  return sum;
}

std::vector<std::pair<std::string, std::string>> BucketSet::Encode(
    const Collection& collection) const {
  const std::string name = CollectionName(collection);
  std::vector<std::pair<std::string, std::string>> runs;
  for (std::size_t run = 0; run < masks_.size(); ++run) {
    if (masks_[run] == 0) continue;
    runs.emplace_back(FormatRunName(name, run * kBucketsPerRun, count_),
                      fmt::format("{}{:016x}", kMaskPrefix, masks_[run]));
  }
  return runs;
}

bool BucketSet::AddRun(std::size_t first_bucket, std::string_view version) {
  if (first_bucket % kBucketsPerRun != 0 || first_bucket >= count_) return false;
  if (!version.starts_with(kMaskPrefix)) return false;
  const auto mask = ParseHex64(version.substr(kMaskPrefix.size()));
  if (!mask) return false;
  masks_[first_bucket / kBucketsPerRun] |= *mask;
  return true;
}

std::string FormatQuestion(Epoch epoch, std::size_t count) {
  return std::string(kQuestionPrefix) + FormatVersion({.epoch = epoch, .revision = count});
}

std::string FormatRepair(const Version& at) {
  return std::string(kRepairPrefix) + FormatVersion(at);
}

std::optional<Question> ParseQuestion(std::string_view text) {
  if (!text.starts_with(kQuestionPrefix)) return std::nullopt;
  const auto version = ParseVersion(text.substr(kQuestionPrefix.size()));
  if (!version || !IsBucketCount(version->revision)) return std::nullopt;
  return Question{.epoch = version->epoch, .count = version->revision};
}

std::optional<Version> ParseRepair(std::string_view text) {
  if (!text.starts_with(kRepairPrefix)) return std::nullopt;
  return ParseVersion(text.substr(kRepairPrefix.size()));
}

std::string FormatRunName(std::string_view collection_name, std::size_t first_bucket,
                          std::size_t count) {
  return fmt::format("{}{}{}/{}", collection_name, kRunSeparator, first_bucket, count);
}

std::optional<RunName> ParseRunName(std::string_view name) {
  const std::size_t hash = name.rfind(kRunSeparator);
  if (hash == std::string_view::npos) return std::nullopt;
  const std::string_view numbers = name.substr(hash + kRunSeparator.size());
  const std::size_t slash = numbers.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto first = ParseNumber(numbers.substr(0, slash));
  const auto count = ParseNumber(numbers.substr(slash + 1));
  const bool fits =
      first && count && IsBucketCount(*count) && *first < *count && *first % kBucketsPerRun == 0;
  if (!fits) return std::nullopt;
  return RunName{.collection = name.substr(0, hash), .first_bucket = *first, .count = *count};
}

}  // namespace common
