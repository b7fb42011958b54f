#include "agent/server/scan_cursors.h"

#include <functional>

namespace agent {
namespace {

constexpr std::uint64_t kIdMask = (1ULL << 53) - 1;

}  // namespace

ScanCursors::ScanCursors(std::size_t cursors_max, std::uint64_t seed)
    : cursors_max_(cursors_max), seed_(seed) {}

std::uint64_t ScanCursors::Hash(const ScanPosition& position) const {
  const std::hash<std::string> hash;
  std::uint64_t mixed = hash(position.key) * 0x9E3779B97F4A7C15ULL + hash(position.dataset) + seed_;
  mixed ^= mixed >> 29;
  return mixed * 0xBF58476D1CE4E5B9ULL >> 11;
}

std::uint64_t ScanCursors::IdFor(const ScanPosition& position) {
  std::uint64_t id = Hash(position);
  common::MutexLock lock(mutex_);
  for (;; ++id) {
    id &= kIdMask;
    if (id == 0) continue;
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) break;
    if (found->second->position != position) continue;
    Touch(found->second);
    return id;
  }
  if (by_age_.size() == cursors_max_) {
    by_id_.erase(by_age_.front().id);
    by_age_.pop_front();
  }
  by_age_.push_back({id, position});
  by_id_[id] = std::prev(by_age_.end());
  return id;
}

std::optional<ScanPosition> ScanCursors::Find(std::uint64_t id) {
  common::MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  Touch(found->second);
  return found->second->position;
}

void ScanCursors::Touch(std::list<Known>::iterator known) {
  by_age_.splice(by_age_.end(), by_age_, known);
}

}  // namespace agent
