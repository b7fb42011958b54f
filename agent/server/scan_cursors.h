// ScanCursors: the numbers that SCAN hands out, and the key that each stands for.
//
// Thread: any; a cursor that one connection was given works on every other, so all loops share one
// table.  Lifetime: that of the loops.
// Clients treat a cursor as a 64-bit (some as a 53-bit) number, so a key cannot travel in it: it is
// kept here. An id is a hash of its position, so scanning again costs no new entry; when the table
// is full the one used longest ago goes, and a client that comes back with it gets an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/mutex.h"

namespace agent {

// A scan goes on with what sorts after this key of this dataset (an empty key: at its beginning).
struct ScanPosition {
  std::string dataset;
  std::string key;
  friend bool operator==(const ScanPosition&, const ScanPosition&) = default;
};

class ScanCursors {
 public:
  // REQUIRES: cursors_max ≥ 1.
  explicit ScanCursors(std::size_t cursors_max, std::uint64_t seed = std::random_device()());

  // 1 … 2^53-1.
  std::uint64_t IdFor(const ScanPosition& position) TSA_EXCLUDES(mutex_);
  // Absent: never given out, or forgotten.
  std::optional<ScanPosition> Find(std::uint64_t id) TSA_EXCLUDES(mutex_);
  std::size_t size() const TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    return by_age_.size();
  }

 private:
  struct Known {
    std::uint64_t id;
    ScanPosition position;
  };
  std::uint64_t Hash(const ScanPosition& position) const;
  void Touch(std::list<Known>::iterator known) TSA_REQUIRES(mutex_);

  const std::size_t cursors_max_;
  const std::uint64_t seed_;
  mutable common::Mutex mutex_;
  std::list<Known> by_age_ TSA_GUARDED_BY(mutex_);  // used longest ago first
  std::unordered_map<std::uint64_t, std::list<Known>::iterator> by_id_ TSA_GUARDED_BY(mutex_);
};

}  // namespace agent
