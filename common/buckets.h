// Buckets: a collection's keys split by hash, with a digest of each part, by which two copies find
// out where they differ.
//
// Thread: any.  Lifetime: values.
// Wire form: docs/protocol.md, "Repair by digests". A set of buckets travels in runs of 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/names.h"
#include "common/version.h"

namespace common {

// Client feature that asks for repair by digests.
inline constexpr std::string_view kBucketsFeature = "tributary.buckets.v1";
inline constexpr std::size_t kBucketsMin = 64;
inline constexpr std::size_t kBucketsMax = 65'536;
inline constexpr std::size_t kBucketsPerRun = 64;

// A power of two from kBucketsMin to kBucketsMax.
bool IsBucketCount(std::uint64_t count);
// For a collection of so many entries: at most 16 in a bucket, if that is possible.
std::size_t BucketCountFor(std::uint64_t entries);
std::size_t BucketOf(std::string_view key, std::size_t count);

class BucketDigests {
 public:
  // REQUIRES: IsBucketCount(count).
  explicit BucketDigests(std::size_t count) : sums_(count) {}

  void Add(std::string_view key, const Version& version, std::string_view value);
  std::size_t count() const { return sums_.size(); }
  std::uint64_t sum(std::size_t bucket) const { return sums_[bucket]; }

  // All runs as initial resource versions of `collection`.
  std::vector<std::pair<std::string, std::string>> Encode(const Collection& collection) const;
  // `find` gives the initial version under a name; absent: there is none. Absent: not all runs for
  // `count` buckets are there, or one is malformed.
  using FindVersion = std::function<std::optional<std::string_view>(const std::string& name)>;
  static std::optional<BucketDigests> Decode(const Collection& collection, std::size_t count,
                                             const FindVersion& find);

 private:
  std::vector<std::uint64_t> sums_;  // low half of the digest
};

// Which buckets are sent anew.
class BucketSet {
 public:
  // REQUIRES: IsBucketCount(count).
  explicit BucketSet(std::size_t count) : count_(count), masks_(count / kBucketsPerRun) {}
  // REQUIRES: both have the same count.
  static BucketSet Difference(const BucketDigests& a, const BucketDigests& b);

  void Add(std::size_t bucket) {
    masks_[bucket / kBucketsPerRun] |= std::uint64_t{1} << bucket % kBucketsPerRun;
  }
  bool Contains(std::size_t bucket) const {
    return (masks_[bucket / kBucketsPerRun] >> bucket % kBucketsPerRun & 1) != 0;
  }
  bool Covers(std::string_view key) const { return Contains(BucketOf(key, count_)); }
  std::size_t count() const { return count_; }  // of all buckets
  std::size_t size() const;                     // of those in the set

  // Name and version of the run markers, without those of empty runs.
  std::vector<std::pair<std::string, std::string>> Encode(const Collection& collection) const;
  // Takes one run marker's version. False: malformed, or `run` is not of this count.
  [[nodiscard]] bool AddRun(std::size_t first_bucket, std::string_view version);

 private:
  std::size_t count_;
  std::vector<std::uint64_t> masks_;
};

// The versions of the question, "d1.<epoch>.<number of buckets>", and of the repair marker,
// "r1.<epoch>.<revision>".
std::string FormatQuestion(Epoch epoch, std::size_t count);
std::string FormatRepair(const Version& at);
struct Question {
  Epoch epoch = 0;
  std::size_t count = 0;
};
std::optional<Question> ParseQuestion(std::string_view text);
std::optional<Version> ParseRepair(std::string_view text);

// "<collection name>#b/<first bucket>/<count>", the name of a run.
struct RunName {
  std::string_view collection;  // the name before '#'
  std::size_t first_bucket = 0;
  std::size_t count = 0;
};
std::string FormatRunName(std::string_view collection_name, std::size_t first_bucket,
                          std::size_t count);
// Absent: not the name of a run; first_bucket and count fit each other otherwise.
std::optional<RunName> ParseRunName(std::string_view name);

}  // namespace common
