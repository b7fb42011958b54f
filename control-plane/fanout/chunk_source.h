// ChunkSource: reads pieces of a collection from the store as ready bytes of a response; streams at
// equal positions share the same bytes.
//
// Thread: hub.  Lifetime: of the hub; chunks live on while a response holds them.
// An entry is encoded once, when committed (Stored::resource); a chunk is spliced from such bytes
// once per position, however many streams stand there.
#pragma once

#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/names.h"
#include "control-plane/fanout/collection_feed.h"
#include "control-plane/fanout/response_sink.h"
#include "control-plane/store/store.h"

namespace cp {

struct Chunk {
  SharedBytes body = {};    // `resources` and `removed_resources` fields; never null, may be empty
  SharedBytes marker = {};  // of changes that reached the end: the complete marker
  std::string last_key = {};
  Position last = {};
  bool reached_end = false;
  Revision head = 0;  // of the dataset in the snapshot that was read
};
using ChunkPtr = std::shared_ptr<const Chunk>;

// A collection in a snapshot.
struct CollectionView {
  const View& view;
  const common::Collection& collection;
  const DatasetState& state;
};

class ChunkSource {
 public:
  ChunkSource(Epoch epoch, std::size_t cache_bytes_max)
      : epoch_(epoch), cache_bytes_max_(cache_bytes_max) {}

  // Entries behind `after` in key order, as they were at `not_before` or later.
  common::StatusOr<ChunkPtr> Load(const CollectionView& source, const std::string& after,
                                  Revision not_before);
  // Changes behind `after` in order of position.
  common::StatusOr<ChunkPtr> Changes(const CollectionView& source, Position after);

  // For one client only, not shared: entries that differ from `known`; what was met is erased from
  // `known`.
  common::StatusOr<ChunkPtr> LoadUnknown(const CollectionView& source, const std::string& after,
                                         CollectionFeed::Known& known) const;
  // Entries in the buckets of `wanted`; passes over a bounded number of others at a time.
  common::StatusOr<ChunkPtr> LoadBuckets(const CollectionView& source, const std::string& after,
                                         const common::BucketSet& wanted) const;
  // Removals of all entries behind `after`.
  common::StatusOr<ChunkPtr> Retract(const CollectionView& source, const std::string& after) const;
  // Removals of the keys in `known`, as many as fit; those are erased from it.
  SharedBytes Forget(const common::Collection& collection, CollectionFeed::Known& known) const;

  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }
  std::size_t cached_bytes() const { return cached_bytes_; }

 private:
  struct Key {
    std::uint32_t dataset = 0;
    std::string prefix = {};
    bool changes = false;
    Position position = {};  // changes: read behind it
    Revision head = 0;       // changes: up to it
    std::string after = {};  // load: read behind it
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Slot {
    ChunkPtr chunk;
    std::list<Key>::iterator age;
  };

  ChunkPtr Find(const Key& key, Revision not_before);
  void Keep(const Key& key, ChunkPtr chunk);

  const Epoch epoch_;
  const std::size_t cache_bytes_max_;
  std::map<Key, Slot> slots_;
  std::list<Key> by_age_;  // least recently used first
  std::size_t cached_bytes_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

// The bytes of a marker resource for `collection`.
std::string MarkerResource(const common::Collection& collection, const common::Marker& marker);

}  // namespace cp
