// PlaceIndex: where entries lie that were read lately – the hash of a key → the address, inside
// LMDB's map, of its record. It spares a walk down the B+tree; it holds no keys and no values.
//
// Thread: its reader's; pure.  Lifetime: addresses are those of an open environment.
// A flat table of sets of eight slots; a key belongs to one set. A full set forgets one of its
// places, a crowded table is replaced by an empty one twice as large, up to the bound: all of
// this is allowed because a place that is not known costs one walk, nothing else. Who reads at a
// place must prove what lies there (see Reader::Impl::ReadAt): pages are reused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/cache/place.h"

namespace agent {

// Of a key in one generation; `serial` keeps generations apart.
std::uint64_t PlaceHash(std::uint64_t serial, std::string_view key);

class PlaceIndex {
 public:
  explicit PlaceIndex(std::size_t bytes_max);  // less than a page: keeps nothing
  ~PlaceIndex();
  PlaceIndex(const PlaceIndex&) = delete;
  PlaceIndex& operator=(const PlaceIndex&) = delete;

  std::optional<Place> Find(std::uint64_t hash) const;
  void Put(std::uint64_t hash, const Place& place);
  void Erase(std::uint64_t hash);  // all that is known of it
  void Clear();
  // Makes room for so many, within the bound. True: the table has grown, and forgotten all.
  bool Reserve(std::size_t places);
  // Fewer misses of the TLB: to be called when the table is in use. The kernel then puts larger
  // pages in place by and by; asked before, it would look for them while a reader waits.
  void AskForLargePages();
  // Brings the set of a hash nearer, for a Find to come.
  void Prefetch(std::uint64_t hash) const;

  bool enabled() const { return sets_ > 0; }
  bool full() const;  // each further place may push out another
  // Counts the tables so far: one that was replaced knew nothing at first.
  std::uint64_t tables() const { return tables_; }
  std::size_t bytes() const { return sets_ * sizeof(Set); }

 private:
  struct Slot {
    std::uint64_t address_and_size = 0;  // 48 and 16 bits; 0: free
    std::uint32_t tag = 0;               // of the hash, what did not choose the set
    std::uint32_t check = 0;
  };
  struct alignas(128) Set {
    Slot slots[8];
  };

  Set* SetOf(std::uint64_t hash) const { return table_ + ((hash >> 32) * sets_ >> 32); }
  void Replace(std::size_t sets);

  const std::size_t sets_max_;
  std::size_t sets_ = 0;
  std::size_t puts_ = 0;  // into free slots, since the table was made
  std::uint64_t tables_ = 0;
  Set* table_ = nullptr;
};

}  // namespace agent
