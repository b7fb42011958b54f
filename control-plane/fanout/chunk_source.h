// ChunkSource: reads pieces of a collection from the store as ready bytes of a response; streams at
// equal positions share the same bytes.
//
// Thread: hub.  Lifetime: of the hub; chunks live on while a response holds them.
// An entry is encoded once, when committed (Stored::resource); a chunk is spliced from such bytes
// once per position, however many streams stand there.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/digest.h"
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
  Revision head = 0;           // of the dataset in the snapshot that was read
  std::size_t entries = 0;     // Whole
  common::Digest digest = {};  // Whole: of the body
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
  // The same, deflated if that makes it much smaller.
  common::StatusOr<ChunkPtr> PackedChanges(const CollectionView& source, Position after);

  // State of the world: all entries, as `resources` fields of a DiscoveryResponse. The end is not
  // reached if they pass kSotwEntriesMax or kSotwBytesMax.
  common::StatusOr<ChunkPtr> Whole(const CollectionView& source, bool wrapped);

  // For one client only, not shared: entries that differ from `known`; what was met is erased from
  // `known`. Looks at no more than `scans_left` entries and takes them from it.
  common::StatusOr<ChunkPtr> LoadUnknown(const CollectionView& source, const std::string& after,
                                         KnownVersions& known, std::size_t& scans_left) const;
  // Entries in the buckets of `wanted`; the same of `scans_left`.
  common::StatusOr<ChunkPtr> LoadBuckets(const CollectionView& source, const std::string& after,
                                         const common::BucketSet& wanted,
                                         std::size_t& scans_left) const;
  // Removals of all entries behind `after`.
  common::StatusOr<ChunkPtr> Retract(const CollectionView& source, const std::string& after) const;
  // Removals of the names in `known` for which `wanted` is true, as many as fit; `known` shrinks by
  // what was looked at.
  SharedBytes Forget(KnownVersions& known, const std::function<bool(std::string_view name)>& wanted,
                     std::size_t& scans_left) const;

  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }
  std::size_t cached_bytes() const { return cached_bytes_; }

 private:
  struct Key {
    std::uint32_t dataset = 0;
    std::string prefix = {};
    enum class Form { kLoad, kChanges, kPackedChanges, kWhole, kWholeWrapped } form = Form::kLoad;
    Position position = {};  // changes: read behind it
    Revision head = 0;       // changes, whole: up to it
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
