#include "agent/cache/place_index.h"

#include <sys/mman.h>
#include <xxhash.h>

#include <algorithm>

#include "common/status.h"

namespace agent {
namespace {

constexpr std::size_t kFirstSets = 32;  // one page
constexpr std::size_t kSlotsOfSet = 8;
constexpr std::size_t kGrowth = 2;
constexpr unsigned kAddressBits = 48;
static_assert(kPlacedRecordBytesMax < 1U << (64 - kAddressBits));

// Half full, so that few sets overflow.
bool Crowded(std::size_t puts, std::size_t slots) { return puts > slots / 2 + slots / 16; }

}  // namespace

std::uint64_t PlaceHash(std::uint64_t serial, std::string_view key) {
  // Spread, because XXH3 only adds the seed to short keys: key "4" of seed 2 would be "2" of 4.
  constexpr std::uint64_t kSpread = 0x9E3779B97F4A7C15;
  return XXH3_64bits_withSeed(key.data(), key.size(), serial * kSpread);
}

PlaceIndex::PlaceIndex(std::size_t bytes_max)
    : sets_max_(std::min<std::size_t>(bytes_max / sizeof(Set), UINT32_MAX)) {
  if (sets_max_ >= kFirstSets) Replace(kFirstSets);
}

PlaceIndex::~PlaceIndex() { Replace(0); }

void PlaceIndex::Replace(std::size_t sets) {
  if (table_ != nullptr) munmap(table_, bytes());
  table_ = nullptr;
  sets_ = sets;
  puts_ = 0;
  ++tables_;
  if (sets == 0) return;
  void* memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  table_ = static_cast<Set*>(memory);
}

std::optional<Place> PlaceIndex::Find(std::uint64_t hash) const {
  if (sets_ == 0) return std::nullopt;
  const auto tag = static_cast<std::uint32_t>(hash);
  for (const Slot& slot : SetOf(hash)->slots) {
    if (slot.tag != tag || slot.address_and_size == 0) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): address and size share a word, on purpose
    return Place{.record = reinterpret_cast<const char*>(slot.address_and_size &
                                                         ((1ULL << kAddressBits) - 1)),
                 .size = static_cast<std::uint32_t>(slot.address_and_size >> kAddressBits),
                 .check = slot.check};
  }
  return std::nullopt;
}

void PlaceIndex::Put(std::uint64_t hash, const Place& place) {
  const auto address = reinterpret_cast<std::uint64_t>(place.record);
  if (sets_ == 0 || place.size > kPlacedRecordBytesMax || address >> kAddressBits != 0) return;
  if (sets_ < sets_max_ && Crowded(puts_, sets_ * kSlotsOfSet)) {
    Replace(std::min(sets_ * kGrowth, sets_max_));
  }
  Set& set = *SetOf(hash);
  Slot* slot = &set.slots[hash % std::size(set.slots)];  // forgotten if none is free
  for (Slot& other : set.slots) {
    if (other.address_and_size != 0) continue;
    slot = &other;
    ++puts_;
    break;
  }
  *slot = {.address_and_size = address | std::uint64_t{place.size} << kAddressBits,
           .tag = static_cast<std::uint32_t>(hash),
           .check = place.check};
}

void PlaceIndex::Erase(std::uint64_t hash) {
  if (sets_ == 0) return;
  for (Slot& slot : SetOf(hash)->slots) {
    if (slot.address_and_size == 0 || slot.tag != static_cast<std::uint32_t>(hash)) continue;
    slot = {};
    --puts_;
  }
}

void PlaceIndex::Clear() { Replace(sets_); }

bool PlaceIndex::full() const { return sets_ == sets_max_ && Crowded(puts_, sets_ * kSlotsOfSet); }

bool PlaceIndex::Reserve(std::size_t places) {
  const std::size_t sets = std::min(places / (kSlotsOfSet / 2) + 1, sets_max_);
  if (!enabled() || sets <= sets_) return false;
  Replace(sets);
  return true;
}

void PlaceIndex::AskForLargePages() {
  if (table_ != nullptr) (void)madvise(table_, bytes(), MADV_HUGEPAGE);
}

void PlaceIndex::Prefetch(std::uint64_t hash) const {
  if (sets_ == 0) return;
  const char* set = reinterpret_cast<const char*>(SetOf(hash));
  __builtin_prefetch(set);
  __builtin_prefetch(set + sizeof(Set) / 2);
}

}  // namespace agent
