// Layout: the bytes inside the cache's LMDB environment, as pure functions.
//
// Thread: any.  Lifetime: parsed records point into the bytes they were parsed from, except
// CopyRecord, which owns what it holds.
//
//   database     key                                value
//   meta         "kind", "layout", "turn",          text; u64 BE; text;
//                "erasure",                         text;
//                "v/" + name                        a small value of the sync thread
//   copies       copy id (BE32)                     copy record
//   staging      copy id (BE32) + ordinal (BE64)    staged change
//   g0, g1, …    entry key                          entry record
//
//   entry record   check u32 | format u8 | content type length u8 | epoch u48 | revision u64 |
//                  published_at ms i64 | expires_at ms i64 | EntryHash low u64, high u64 |
//                  content type | format 2: version length u8, version text | value
//   staged change  kind u8 (0 removal, 1 entry) | key length u16 | key | entry record, if an entry
//   copy record    check u64 | fields in protobuf wire form (see layout.cc)
//
// Numbers are little-endian unless they say BE. `check` is XXH3-64, cut to its size, of all that
// follows it (entry record: up to the value; the value is covered by EntryHash, which the digest of
// the copy sums up).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/cache/cache.h"

namespace agent {

inline constexpr std::uint32_t kCacheFormat = 1;
inline constexpr std::string_view kMetaKind = "kind";
inline constexpr std::string_view kMetaLayout = "layout";
inline constexpr std::string_view kMetaTurn =
    "turn";  // changed by transactions that change nothing
inline constexpr std::string_view kMetaErasure =
    "erasure";  // there: what was erased may still lie in the file
inline constexpr std::string_view kMetaValuePrefix = "v/";

// --- entries ----------------------------------------------------------------------------------

struct EntryRecord {
  common::Version version;
  std::string_view version_text;  // of a foreign server; stored in format 2
  bool absent = false;            // that there is no such entry; format 3, without a value
  common::Digest hash;
  common::EntryView entry;
};

// Returns what ParseEntryRecord will find in it; its views are those given.
// REQUIRES: content type ≤ kContentTypeBytesMax, version text ≤ kVersionTextBytesMax, epoch < 2^48.
EntryRecord AppendEntryRecord(std::string_view key, const common::Version& version,
                              const common::EntryView& entry, std::string& out,
                              std::string_view version_text = {});
// That there is no such entry.
EntryRecord AppendAbsenceRecord(std::string_view key, const common::Version& version,
                                std::string& out);
// Absent: too short, of another format, or its check does not match. The value is not verified.
std::optional<EntryRecord> ParseEntryRecord(std::string_view bytes);
// The check of a record, not compared with anything. REQUIRES: at least 4 bytes.
std::uint32_t EntryRecordCheck(std::string_view bytes);
// As ParseEntryRecord, and the hash of key, version and value matches.
std::optional<EntryRecord> VerifyEntryRecord(std::string_view key, std::string_view bytes);

// --- staged changes ---------------------------------------------------------------------------

struct StagedChange {
  std::string_view key;
  std::string_view record;  // an entry record; empty: removal
};

std::string StagingKey(std::uint32_t copy, std::uint64_t ordinal);
void AppendStagedChange(const Change& change, std::string& out);
std::optional<StagedChange> ParseStagedChange(std::string_view bytes);

// --- copies -----------------------------------------------------------------------------------

// One filling of a generation slot.
struct Generation {
  std::uint32_t slot = 0;
  std::uint64_t serial = 0;  // differs from all others that were ever made in this directory
  common::Version at;        // the cursor, or (while loading) where the load began
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // keys + values
  common::Digest digest;
  std::string greatest_key;  // no key sorts behind it; empty: no key was ever written
  friend bool operator==(const Generation&, const Generation&) = default;
};

struct CopyRecord {
  std::uint32_t id = 0;  // the key; not part of the bytes
  common::Collection collection;
  bool by_name = false;
  bool repairs = false;  // `loading` was begun with entries of `ready`
  Denial denial = Denial::kNone;
  std::optional<Generation> ready;
  std::optional<Generation> loading;
  std::uint64_t staged = 0;  // changes in the staging database
  friend bool operator==(const CopyRecord&, const CopyRecord&) = default;
};

std::string CopyKey(std::uint32_t id);
std::string EncodeCopyRecord(const CopyRecord& record);
// Absent: malformed, or the check does not match.
std::optional<CopyRecord> ParseCopyRecord(std::string_view key, std::string_view bytes);
CopyState StateOf(const CopyRecord& record);

}  // namespace agent
