// BucketTable: the digests of a collection's buckets, scanned in short steps; BucketTables shares
// one table between all agents that are repaired soon after each other.
//
// Thread: hub.  Lifetime: of the hub; a feed keeps its table alive.
// A table is scanned in several snapshots, the first at from(): it may hold later changes. Whoever
// uses it replays all changes behind from(), so that does no harm (docs/protocol.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "common/buckets.h"
#include "control-plane/fanout/chunk_source.h"
#include "control-plane/store/store.h"

namespace cp {

class BucketTable {
 public:
  explicit BucketTable(const DatasetState& state)
      : digests_(common::BucketCountFor(state.entries)), from_(state.head) {}

  // Looks at no more than `scans_left` entries and takes them from it. No effect on a complete
  // table.
  common::Status Step(const CollectionView& source, std::size_t& scans_left);

  bool complete() const { return complete_; }
  Revision from() const { return from_; }
  const common::BucketDigests& digests() const { return digests_; }

 private:
  common::BucketDigests digests_;
  const Revision from_;
  std::string after_;
  bool complete_ = false;
};
using BucketTablePtr = std::shared_ptr<BucketTable>;

class BucketTables {
 public:
  static constexpr std::size_t kTablesMax = 32;  // of at most 512 KiB each
  // A table that is further behind than this costs more in replay than a new scan.
  static constexpr Revision kBehindMax = 10'000;

  // A table for the collection as it stands, new or in use already; REQUIRES: `source` is of the
  // newest snapshot.
  BucketTablePtr Get(const CollectionView& source);

 private:
  struct Slot {
    std::uint32_t dataset = 0;
    std::string prefix;
    BucketTablePtr table;
  };
  std::list<Slot> slots_;  // newest first
};

}  // namespace cp
