// Version, Cursor: positions in a store's history and their text forms on the wire.
//
// Thread: any.  Lifetime: values.
//   entry version   "<epoch>.<revision>"                       epoch: 12 hex digits
//   cursor          "c1.<epoch>.<revision>[.<encoded last key>]"   complete up to, or a first load
//                                                              that has come to that key
//   begin marker    "b1.<epoch>.<revision>"                    a full load starts at this revision
// Source: docs/protocol.md, "Resume".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace common {

using Revision = std::uint64_t;
using Epoch = std::uint64_t;  // 48 random bits, never 0

struct Version {
  Epoch epoch = 0;
  Revision revision = 0;
  friend bool operator==(const Version&, const Version&) = default;
};

std::string FormatEpoch(Epoch epoch);
std::string FormatVersion(const Version& version);
void AppendVersion(const Version& version, std::string& out);
std::optional<Version> ParseVersion(std::string_view text);

struct Cursor {
  Epoch epoch = 0;
  Revision revision = 0;
  std::optional<std::string> last_key = {};  // set: a load begun at `revision`, done up to this key
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

std::string FormatCursor(const Cursor& cursor);
std::optional<Cursor> ParseCursor(std::string_view text);

// What the version of a marker resource says.
struct Marker {
  enum class Kind { kBegin, kComplete };
  Kind kind = Kind::kComplete;
  Version at;
  friend bool operator==(const Marker&, const Marker&) = default;
};
std::string FormatMarker(const Marker& marker);
std::optional<Marker> ParseMarker(std::string_view text);

// A new random epoch, from the kernel's random source.
Epoch NewEpoch();

}  // namespace common
