// Names: datasets, services, entry keys and their xdstp resource names.
//
// Thread: any.  Lifetime: pure functions over values.
// Sources: RFC 1123 labels; xDS TP1 (xdstp names, glob collections); docs/protocol.md.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace common {

inline constexpr std::string_view kEntryType = "type.googleapis.com/tributary.v1.Entry";
inline constexpr std::string_view kDatasetStateType =
    "type.googleapis.com/tributary.v1.DatasetState";
inline constexpr std::string_view kSubscriptionType =
    "type.googleapis.com/tributary.v1.Subscription";

// What a Tributary control plane calls itself in control_plane.identifier: this, and perhaps more.
// By it an agent knows a server that sends markers before it has seen one.
inline constexpr std::string_view kControlPlaneIdentifier = "tributary";

// DNS labels joined by dots: [a-z0-9]([-a-z0-9]*[a-z0-9])?, label ≤ 63, whole ≤ 253 bytes.
Status ValidateDatasetName(std::string_view name);
Status ValidateServiceName(std::string_view name);

// 1–400 bytes, any byte.
Status ValidateKey(std::string_view key);

// A `consumers` pattern: a service name, "*", or "*." and a suffix ("*.shop").
Status ValidateServicePattern(std::string_view pattern);
bool ServiceMatches(std::string_view pattern, std::string_view service);

constexpr std::array<signed char, 256> MakeHexTable() {
  std::array<signed char, 256> table{};
  table.fill(-1);
  for (unsigned digit = 0; digit < 16; ++digit) {
    table[static_cast<unsigned char>("0123456789abcdef"[digit])] = static_cast<signed char>(digit);
    table[static_cast<unsigned char>("0123456789ABCDEF"[digit])] = static_cast<signed char>(digit);
  }
  return table;
}
inline constexpr std::array<signed char, 256> kHexTable = MakeHexTable();
// Of a hex digit in either case; negative: it is none.
inline int HexValue(char c) { return kHexTable[static_cast<unsigned char>(c)]; }

// RFC 3986 unreserved bytes stay, all others become %XX.
std::string PercentEncode(std::string_view raw);
void AppendPercentEncoded(std::string_view raw, std::string& out);
// Absent: a '%' not followed by two hex digits.
std::optional<std::string> PercentDecode(std::string_view encoded);

// A dataset, or the part of it whose keys begin with `prefix` (empty: all). What an agent copies.
struct Collection {
  std::string dataset;
  std::string prefix;

  bool Covers(std::string_view key) const { return key.starts_with(prefix); }
  friend auto operator<=>(const Collection&, const Collection&) = default;
};

// "xdstp:///tributary.v1.Entry/<dataset>/<percent-encoded key>"
std::string EntryName(std::string_view dataset, std::string_view key);
void AppendEntryName(std::string_view dataset, std::string_view key, std::string& out);
// "xdstp:///tributary.v1.Entry/<dataset>/*" and, with a prefix, "…/*?prefix=<encoded>"
std::string CollectionName(const Collection& collection);
// "xdstp:///tributary.v1.DatasetState/<dataset>"
std::string DatasetStateName(std::string_view dataset);
// "xdstp:///tributary.v1.Subscription/<service>/<name>"; the glob is "…/<service>/*"
std::string SubscriptionName(std::string_view service, std::string_view name);

// A resource name of type Entry, taken apart.
struct EntryNameParts {
  std::string dataset;
  std::string key;  // of one entry; empty when is_collection
  bool is_collection = false;
  std::string prefix;  // of a collection
};
// The key that the last segment of an entry's name stands for, in the segment itself or in
// `decoded`; empty: it is none.
std::string_view KeyOfSegment(std::string_view segment, std::string& decoded);
// Absent: not a well-formed name of type Entry. An authority ("xdstp://cp/…") is accepted and
// ignored: there is one namespace per control plane.
std::optional<EntryNameParts> ParseEntryName(std::string_view name);
// The dataset of a DatasetState name.
std::optional<std::string> ParseDatasetStateName(std::string_view name);

// True if `bytes` is well-formed UTF-8 (RFC 3629), as proto3 strings must be.
bool IsUtf8(std::string_view bytes);

// Redis' glob: * ? [a-c] [^a] and \ escapes.
bool GlobMatch(std::string_view pattern, std::string_view text);
// The bytes of `pattern` before its first special character, unescaped.
std::string GlobLiteralPrefix(std::string_view pattern);

}  // namespace common
