// Layout: how the store's records lie in LMDB.
//
// Thread: any.  Lifetime: pure functions over values; decoded views point into the given bytes.
// Numbers are big-endian, so that byte order is number order. Databases, key → value:
//   meta          name → value                       kind, format, epoch, head, next dataset id
//   declarations  kind '/' name → DeclarationRecord
//   datasets      name → DatasetRecord
//   entries       id, key → EntryRecord
//   tombstones    id, key → position of the removal
//   changes       id, position → key                 the latest put of each key
//   removals      id, position → RemovalRecord       the latest removal of each key
//   publishers    publisher id → PublisherRecord
//   expiries      time, id, key → nothing            entries that expire
//   purging       id → nothing                       withdrawn datasets whose rows are going
// A key is in entries and changes, or in tombstones and removals, or nowhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "control-plane/store/store.h"

namespace cp::layout {

inline constexpr std::uint32_t kFormat = 3;
inline constexpr std::uint32_t kFormatWithoutLog = 2;  // the same tables; no redo log in front
inline constexpr std::string_view kKind = "control-plane";
inline constexpr std::string_view kMetaKind = "kind";
inline constexpr std::string_view kMetaFormat = "format";
inline constexpr std::string_view kMetaEpoch = "epoch";
inline constexpr std::string_view kMetaHead = "head";
inline constexpr std::string_view kMetaNextDataset = "next-dataset";

inline constexpr std::size_t kIdBytes = 4;
inline constexpr std::size_t kPositionBytes = 12;

// --- keys -------------------------------------------------------------------------------------

// Replaces `out`; the capacity is reused from row to row.
void IdKey(std::uint32_t id, std::string& out);
void EntryKey(std::uint32_t id, std::string_view key, std::string& out);
void PositionKey(std::uint32_t id, Position position, std::string& out);
std::string DeclarationKey(std::string_view kind, std::string_view name);

// `time_ms`: Unix time. `entry_key`: made by EntryKey.
void ExpiryKey(std::int64_t time_ms, std::string_view entry_key, std::string& out);
// REQUIRES: made by ExpiryKey.
std::int64_t TimeOfExpiryKey(std::string_view bytes);
inline std::string_view EntryKeyOfExpiryKey(std::string_view bytes) { return bytes.substr(8); }

inline std::string_view KeyOfEntryKey(std::string_view bytes) { return bytes.substr(kIdBytes); }
// REQUIRES: made by PositionKey.
Position PositionOfKey(std::string_view bytes);

// --- values -----------------------------------------------------------------------------------
// Decode…: DATA_LOSS if the bytes are not what Encode… makes.

std::string EncodeNumber32(std::uint32_t number);
std::string EncodeNumber64(std::uint64_t number);
common::StatusOr<std::uint32_t> DecodeNumber32(std::string_view bytes);
common::StatusOr<std::uint64_t> DecodeNumber64(std::string_view bytes);

std::string EncodePosition(Position position);
common::StatusOr<Position> DecodePosition(std::string_view bytes);

struct EntryRecord {
  common::Version version;
  std::uint32_t ordinal = 0;
  std::string_view resource = {};  // common::AppendEntryResource
  Position position() const { return {version.revision, ordinal}; }
};
// Appends all of the record but `resource`, which must follow.
void AppendEntryHeader(const EntryRecord& record, std::string& out);
common::StatusOr<EntryRecord> DecodeEntry(std::string_view bytes);

struct RemovalRecord {
  Epoch epoch = 0;
  std::int64_t removed_ms = 0;  // Unix time
  std::string_view key;
};
std::string EncodeRemoval(const RemovalRecord& record);
common::StatusOr<RemovalRecord> DecodeRemoval(std::string_view bytes);

struct DatasetRecord {
  DatasetState state;
  std::uint64_t tombstones = 0;
  std::int64_t withdrawn_ms = 0;  // Unix time; 0: declared
};
std::string EncodeDataset(const DatasetRecord& record);
common::StatusOr<DatasetRecord> DecodeDataset(std::string_view bytes);

struct PublisherRecord {
  struct Decided {
    std::uint64_t sequence = 0;
    Outcome outcome = {};
    bool old_lost = false;  // the outcome's old values are not kept any more
  };
  // Drops the outcomes up to `sequence`.
  void Forget(std::uint64_t sequence);
  // Drops old values of the oldest outcomes beyond kOutcomeOldBytesKept.
  void BoundOldValues();

  std::int64_t seen_ms = 0;  // Unix time of the last batch
  std::uint64_t last_sequence = 0;
  std::deque<Decided> decided;  // by sequence; at most kPublisherResultsKept
};
// Long messages are cut to kOutcomeMessageBytesMax.
inline constexpr std::size_t kOutcomeMessageBytesMax = 512;
std::string EncodePublisher(const PublisherRecord& record);
common::StatusOr<PublisherRecord> DecodePublisher(std::string_view bytes);

// The key says kind and name.
std::string EncodeDeclaration(const DeclarationChange& change);
common::StatusOr<DeclarationChange> DecodeDeclaration(std::string_view key, std::string_view bytes);

}  // namespace cp::layout
