// Reader's inside: a read transaction, the table of copies that belongs to its snapshot, and an
// index of places in front.
//
// Thread: the reader's.  Lifetime: the environment outlives it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/cache/environment.h"
#include "agent/cache/place_index.h"

namespace agent {

// Why a Get by the index is right. A snapshot is txn S.
// - A known place is where the newest version of its key as of S was read: every commit up to S has
//   announced its keys before it could be seen, and the places of those were erased (CatchUp).
// - No place is learned while a commit beyond S is announced: it could be of a key that this commit
//   is about to change.
//   (The same holds for places that are taken in ahead of reads, see index_fill.cc.)
// - The bytes at a place may have been reused since for anything, also while they are read. So they
//   are copied first, and the copy counts only if it is, by checksum and hash, that key and that
//   version. Else the B+tree is asked.
// Everything but entries (which copies there are, denials, faults) never comes from the index.
struct Reader::Impl {
  struct Copy {
    std::uint32_t id = 0;
    common::Collection collection;
    Denial denial = Denial::kNone;
    common::lmdb::Dbi dbi = 0;  // 0: nothing to read
    std::uint64_t serial = 0;
    bool by_name = false;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  Impl(const CurrentEnvironment& in_use, std::size_t index_bytes)
      : current(in_use), index(index_bytes) {}

  const CurrentEnvironment& current;
  std::shared_ptr<Environment> environment = {};
  std::uint64_t turn = 0;                         // of `current`, that `environment` is
  std::optional<common::lmdb::ReadTxn> txn = {};  // of `environment`, so destroyed before it
  bool active = false;                            // between Refresh and Release
  static constexpr std::uint64_t kNoLayout = UINT64_MAX;
  std::uint64_t layout = kNoLayout;  // that `table` was made from
  // Copies of a dataset, ordered by prefix.
  using Table = std::unordered_map<std::string, std::vector<Copy>, Hash, std::equal_to<>>;
  Table table = {};
  mutable const Table::value_type* last_dataset = nullptr;  // asked for last; null after LoadTable

  // The index: empty and unused without a feed.
  std::optional<CommitFeed> feed = {};
  ChangedPlaces announced = {};  // taken from the feed last
  PlaceIndex index;
  IndexStats stats = {};
  std::array<char, kPlacedRecordBytesMax> copied = {};  // the record found by the index last
  // How far filling it ahead of reads has come.
  struct Fill {
    std::uint64_t layout = kNoLayout;  // whose copies are all filled
    std::uint64_t table = 0;           // index.tables(), when it went on last
    std::uint64_t serial = 0;          // of the copy that it is at, behind the key `after`
    std::string after = {};
    std::vector<std::uint64_t> filled = {};  // serials
  };
  Fill fill = {};

  // To the environment in use; the old one is let go of.
  common::Status Move();
  common::Status LoadTable();
  void StartIndex();  // empty; once for each environment
  void CatchUp();
  const Copy* NextToFill();
  void FillFrom(const Copy& copy, std::size_t entries_max);
  // The record of `key` that lay at `place`, copied; absent: something else lies there now.
  std::optional<Found> ReadAt(const Place& place, std::string_view key);
  std::optional<Found> FindByIndex(std::uint64_t hash, std::string_view key);
  // kNotHeld or kReadable. REQUIRES: the copy is readable; `hash` is PlaceHash, if there is an
  // index.
  common::StatusOr<LocalAnswer> FindInTree(const Copy& copy, std::uint64_t hash,
                                           std::string_view key);
  // The same by the index first.
  common::StatusOr<LocalAnswer> FindIn(const Copy& copy, std::string_view key);
  const std::vector<Copy>* CopiesOf(std::string_view dataset) const;
  const Copy* Find(std::string_view dataset, std::string_view key) const;
  Coverage CoverageOf(const Copy* copy) const;
  common::Status Fault(const Copy& copy, std::string_view what) const;
  common::Status Blame(const Copy& copy, common::Status status) const;
  common::StatusOr<Found> Verify(const Copy& copy, std::string_view key,
                                 std::string_view bytes) const;
  common::Status ScanCopy(const Copy& copy, std::string_view prefix, std::string_view after,
                          const Visit& visit, bool& stopped) const;
};

}  // namespace agent
