#include "common/version.h"

#include <fmt/format.h>

#include <charconv>
#include <random>

#include "common/names.h"

namespace common {
namespace {

constexpr int kEpochDigits = 12;

// Takes the text up to the next '.', or all of it.
std::string_view TakePart(std::string_view& text) {
  const std::size_t dot = text.find('.');
  const std::string_view part = text.substr(0, dot);
  text = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  return part;
}

template <class T>
std::optional<T> ParseNumber(std::string_view text, int base) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Epoch> ParseEpoch(std::string_view text) {
  if (text.size() != kEpochDigits) return std::nullopt;
  const std::optional<Epoch> epoch = ParseNumber<Epoch>(text, 16);
  return epoch && *epoch != 0 ? epoch : std::nullopt;
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
  const std::optional<Epoch> epoch = ParseEpoch(TakePart(text));
  const std::optional<Revision> revision = ParseNumber<Revision>(text, 10);
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
  const std::optional<Revision> revision = ParseNumber<Revision>(text.substr(0, dot), 10);
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
