#include "control-plane/fanout/chunk_source.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/entry.h"
#include "common/packed.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/sotw_encoding.h"

namespace cp {
namespace {

constexpr std::size_t kBodyBytesUsual = common::kResponseBytesTarget + 64 * common::kKiB;
constexpr std::size_t kTrailerBytesMax = 4 * common::kKiB;  // type, nonce, marker, control plane

// A response body under construction.
class Body {
 public:
  // `expected`: bytes of resources that are to come, as far as is known.
  explicit Body(std::string_view dataset = {}, std::uint64_t expected = 0) : dataset_(dataset) {
    bytes_.reserve(std::min<std::uint64_t>(expected, kBodyBytesUsual));
  }

  // False: the body is full and `stored` was not added.
  bool Add(const Stored& stored) {
    if (stored.resource.empty()) return AddRemovalOfKey(stored.key);
    if (!Fits(stored.resource.size())) return false;
    bytes_.append(stored.resource);
    return true;
  }
  bool AddRemovalOfKey(std::string_view key) {
    return AddRemoval(common::EntryName(dataset_, key));
  }
  bool AddRemoval(std::string_view name) {
    field_.clear();
    common::AppendRemovedField(name, field_);
    if (!Fits(field_.size())) return false;
    bytes_.append(field_);
    return true;
  }
  SharedBytes Take() { return std::make_shared<const std::string>(std::move(bytes_)); }

 private:
  bool Fits(std::size_t more) const {
    if (bytes_.empty()) return true;
    return bytes_.size() < common::kResponseBytesTarget &&
           bytes_.size() + more + kTrailerBytesMax <= common::kResponseBytesMax;
  }

  const std::string_view dataset_;
  std::string bytes_;
  std::string field_;
};

// Scans entries behind `after`; `add` is false when the body is full.
template <class Add>
common::StatusOr<Chunk> ScanByKey(const CollectionView& source, const std::string& after,
                                  const Add& add) {
  Chunk chunk{.last_key = after, .reached_end = true, .head = source.state.head};
  RETURN_IF_ERROR(source.view.ScanEntries(source.state.id, source.collection.prefix, after,
                                          [&](const Stored& stored) {
                                            if (!add(stored)) {
                                              chunk.reached_end = false;
                                              return false;
                                            }
                                            chunk.last_key.assign(stored.key);
                                            return true;
                                          }));
  return chunk;
}

ChunkPtr Finish(Chunk chunk, Body& body) {
  chunk.body = body.Take();
  return std::make_shared<const Chunk>(std::move(chunk));
}

}  // namespace

std::string MarkerResource(const common::Collection& collection, const common::Marker& marker) {
  std::string out;
  common::AppendResourceField(common::CollectionName(collection), common::FormatMarker(marker),
                              common::kEntryType, {}, out);
  return out;
}

common::StatusOr<ChunkPtr> ChunkSource::Load(const CollectionView& source, const std::string& after,
                                             Revision not_before) {
  const Key key{.dataset = source.state.id, .prefix = source.collection.prefix, .after = after};
  if (ChunkPtr found = Find(key, not_before)) return found;
  Body body(source.collection.dataset, source.state.bytes);
  ASSIGN_OR_RETURN(Chunk chunk, ScanByKey(source, after, [&body](const Stored& stored) {
                     return body.Add(stored);
                   }));
  ChunkPtr built = Finish(std::move(chunk), body);
  Keep(key, built);
  return built;
}

common::StatusOr<ChunkPtr> ChunkSource::Changes(const CollectionView& source, Position after) {
  const Key key{.dataset = source.state.id,
                .prefix = source.collection.prefix,
                .form = Key::Form::kChanges,
                .position = after,
                .head = source.state.head};
  if (ChunkPtr found = Find(key, 0)) return found;
  Chunk chunk{.last = after, .reached_end = true, .head = source.state.head};
  Body body(source.collection.dataset);
  RETURN_IF_ERROR(source.view.ScanChanges(source.state.id, source.collection.prefix, after,
                                          [&](const Stored& stored) {
                                            if (!body.Add(stored)) {
                                              chunk.reached_end = false;
                                              return false;
                                            }
                                            chunk.last = stored.position;
                                            return true;
                                          }));
  if (chunk.reached_end) {
    chunk.marker = std::make_shared<const std::string>(MarkerResource(
        source.collection, {.kind = common::Marker::Kind::kComplete,
                            .at = {.epoch = epoch_, .revision = source.state.head}}));
  }
  ChunkPtr built = Finish(std::move(chunk), body);
  Keep(key, built);
  return built;
}

common::StatusOr<ChunkPtr> ChunkSource::PackedChanges(const CollectionView& source,
                                                      Position after) {
  const Key key{.dataset = source.state.id,
                .prefix = source.collection.prefix,
                .form = Key::Form::kPackedChanges,
                .position = after,
                .head = source.state.head};
  if (ChunkPtr found = Find(key, 0)) return found;
  ASSIGN_OR_RETURN(ChunkPtr chunk, Changes(source, after));
  std::optional<std::string> packed = common::Pack(*chunk->body);
  if (!packed) return chunk;
  Chunk smaller = *chunk;
  smaller.body = std::make_shared<const std::string>(*std::move(packed));
  chunk = std::make_shared<const Chunk>(std::move(smaller));
  Keep(key, chunk);
  return chunk;
}

common::StatusOr<ChunkPtr> ChunkSource::Whole(const CollectionView& source, bool wrapped) {
  const Key key{.dataset = source.state.id,
                .prefix = source.collection.prefix,
                .form = wrapped ? Key::Form::kWholeWrapped : Key::Form::kWhole,
                .head = source.state.head};
  if (ChunkPtr found = Find(key, 0)) return found;
  std::string bytes;
  std::size_t entries = 0;
  ASSIGN_OR_RETURN(Chunk chunk, ScanByKey(source, {}, [&](const Stored& stored) {
                     if (++entries > common::kSotwEntriesMax) return false;
                     AppendSotwResources(stored.resource, wrapped, bytes);
                     return bytes.size() <= common::kSotwBytesMax;
                   }));
  chunk.entries = entries;
  chunk.digest = common::EntryHash({}, {}, bytes);
  chunk.body = std::make_shared<const std::string>(std::move(bytes));
  const ChunkPtr built = std::make_shared<const Chunk>(std::move(chunk));
  Keep(key, built);
  return built;
}

common::StatusOr<ChunkPtr> ChunkSource::LoadUnknown(const CollectionView& source,
                                                    const std::string& after, KnownVersions& known,
                                                    std::size_t& scans_left) const {
  Body body(source.collection.dataset);
  std::string name;
  const auto add = [&](const Stored& stored) {
    if (scans_left == 0) return false;
    name.clear();
    common::AppendEntryName(source.collection.dataset, stored.key, name);
    const std::optional<std::string_view> held = known.Find(name);
    const bool current = held && *held == common::FormatVersion(stored.version);
    if (!current && !body.Add(stored)) return false;
    --scans_left;
    if (held) known.Erase(name);
    return true;
  };
  ASSIGN_OR_RETURN(Chunk chunk, ScanByKey(source, after, add));
  return Finish(std::move(chunk), body);
}

common::StatusOr<ChunkPtr> ChunkSource::LoadBuckets(const CollectionView& source,
                                                    const std::string& after,
                                                    const common::BucketSet& wanted,
                                                    std::size_t& scans_left) const {
  Body body(source.collection.dataset);
  ASSIGN_OR_RETURN(Chunk chunk, ScanByKey(source, after, [&](const Stored& stored) {
                     if (wanted.Covers(stored.key)) return body.Add(stored);
                     if (scans_left == 0) return false;
                     --scans_left;
                     return true;
                   }));
  return Finish(std::move(chunk), body);
}

common::StatusOr<ChunkPtr> ChunkSource::Retract(const CollectionView& source,
                                                const std::string& after) const {
  Body body(source.collection.dataset);
  ASSIGN_OR_RETURN(Chunk chunk, ScanByKey(source, after, [&body](const Stored& stored) {
                     return body.AddRemovalOfKey(stored.key);
                   }));
  return Finish(std::move(chunk), body);
}

SharedBytes ChunkSource::Forget(KnownVersions& known,
                                const std::function<bool(std::string_view)>& wanted,
                                std::size_t& scans_left) const {
  Body body;
  for (auto offset = known.Peek(); offset && scans_left > 0; offset = known.Peek()) {
    --scans_left;
    const std::string_view name = known.At(*offset).name;
    if (wanted(name) && !body.AddRemoval(name)) break;
    known.Pop();
  }
  if (known.empty()) known = {};
  return body.Take();
}

ChunkPtr ChunkSource::Find(const Key& key, Revision not_before) {
  const auto it = slots_.find(key);
  if (it == slots_.end() || it->second.chunk->head < not_before) {
    ++misses_;
    return nullptr;
  }
  ++hits_;
  by_age_.splice(by_age_.end(), by_age_, it->second.age);
  return it->second.chunk;
}

void ChunkSource::Keep(const Key& key, ChunkPtr chunk) {
  const auto forget = [this](std::map<Key, Slot>::iterator it) {
    cached_bytes_ -= it->second.chunk->body->size();
    by_age_.erase(it->second.age);
    slots_.erase(it);
  };
  if (const auto it = slots_.find(key); it != slots_.end()) forget(it);
  cached_bytes_ += chunk->body->size();
  slots_.emplace(key, Slot{.chunk = std::move(chunk), .age = by_age_.insert(by_age_.end(), key)});
  while (slots_.size() > common::kChunksCachedMax ||
         (cached_bytes_ > cache_bytes_max_ && slots_.size() > 1)) {
    forget(slots_.find(by_age_.front()));
  }
}

}  // namespace cp
