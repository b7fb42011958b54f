#include "common/version.h"

#include <fmt/format.h>

#include <charconv>
#include <random>

#include "common/names.h"

namespace common {
namespace {

constexpr std::size_t kEpochDigits = 12;

// Takes the text up to the next '.', or all of it.
std::string_view TakePart(std::string_view& text) {
  const std::size_t dot = text.find('.');
  const std::string_view part = text.substr(0, dot);
  text = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  return part;
}

std::optional<Revision> ParseRevision(std::string_view text) {
  Revision value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Epoch> ParseEpoch(std::string_view text) {
  if (text.size() != kEpochDigits) return std::nullopt;
  Epoch epoch = 0;
  for (const char c : text) {
    const int digit = HexValue(c);
    if (digit < 0) return std::nullopt;
    epoch = epoch << 4 | static_cast<unsigned>(digit);
  }
  return epoch != 0 ? std::optional(epoch) : std::nullopt;
}

}  // namespace

std::string FormatEpoch(Epoch epoch) { return fmt::format("{:012x}", epoch); }

void AppendVersion(const Version& version, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{:012x}.{}", version.epoch, version.revision);
}

std::string FormatVersion(const Version& version) {
  std::string out;
  AppendVersion(version, out);
  return out;
}

std::optional<Version> ParseVersion(std::string_view text) {
  if (text.size() <= kEpochDigits || text[kEpochDigits] != '.') return std::nullopt;
  const std::optional<Epoch> epoch = ParseEpoch(text.substr(0, kEpochDigits));
  const std::optional<Revision> revision = ParseRevision(text.substr(kEpochDigits + 1));
  if (!epoch || !revision) return std::nullopt;
  return Version{.epoch = *epoch, .revision = *revision};
}

std::string FormatCursor(const Cursor& cursor) {
  std::string out = fmt::format("c1.{:012x}.{}", cursor.epoch, cursor.revision);
  if (cursor.last_key) {
    out.push_back('.');
    AppendPercentEncoded(*cursor.last_key, out);
  }
  return out;
}

std::optional<Cursor> ParseCursor(std::string_view text) {
  if (TakePart(text) != "c1") return std::nullopt;
  const std::optional<Epoch> epoch = ParseEpoch(TakePart(text));
  const std::size_t dot = text.find('.');
  const std::optional<Revision> revision = ParseRevision(text.substr(0, dot));
  if (!epoch || !revision) return std::nullopt;
  Cursor cursor{.epoch = *epoch, .revision = *revision};
  if (dot != std::string_view::npos) {
    cursor.last_key = PercentDecode(text.substr(dot + 1));
    if (!cursor.last_key) return std::nullopt;
  }
  return cursor;
}

std::string FormatMarker(const Marker& marker) {
  return fmt::format("{}.{}", marker.kind == Marker::Kind::kBegin ? "b1" : "c1",
                     FormatVersion(marker.at));
}

std::optional<Marker> ParseMarker(std::string_view text) {
  const std::string_view kind = TakePart(text);
  if (kind != "b1" && kind != "c1") return std::nullopt;
  const std::optional<Version> at = ParseVersion(text);
  if (!at) return std::nullopt;
  return Marker{.kind = kind == "b1" ? Marker::Kind::kBegin : Marker::Kind::kComplete, .at = *at};
}

Epoch NewEpoch() {
  std::random_device random;
  const auto wide = (static_cast<std::uint64_t>(random()) << 32) | random();
  const Epoch epoch = wide & 0xFFFF'FFFF'FFFFu;
  return epoch == 0 ? 1 : epoch;
}

}  // namespace common
