#include "common/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

namespace common {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first: FormatDuration divides in this order.
constexpr std::array<Unit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::uint64_t kDurationMax = 10'000 * 86'400'000ULL;

constexpr std::array<Unit, 9> kSizeUnits{{{"TiB", 1ULL << 40},
                                          {"GiB", 1ULL << 30},
                                          {"MiB", 1ULL << 20},
                                          {"KiB", 1ULL << 10},
                                          {"B", 1},
                                          {"KB", 1'000},
                                          {"MB", 1'000'000},
                                          {"GB", 1'000'000'000},
                                          {"TB", 1'000'000'000'000}}};

// Takes the longest prefix of bytes that satisfy `predicate` off `rest`.
template <class Predicate>
std::string_view Take(std::string_view& rest, Predicate predicate) {
  const auto end = std::find_if_not(rest.begin(), rest.end(), predicate);
  const std::string_view taken = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  rest.remove_prefix(taken.size());
  return taken;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

template <std::size_t N>
const Unit* Find(const std::array<Unit, N>& units, std::string_view name) {
  const auto* found =
      std::find_if(units.begin(), units.end(), [&](const Unit& unit) { return unit.name == name; });
  return found == units.end() ? nullptr : found;
}

// number × factor, exactly. False: not a number, more than `max`, or not a whole result.
bool Multiply(std::string_view number, std::uint64_t factor, std::uint64_t max,
              std::uint64_t& result) {
  const std::size_t dot = number.find('.');
  const std::string_view whole = number.substr(0, dot);
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), value);
  if (whole.empty() || parsed.ec != std::errc() || value > max / factor) return false;
  result = value * factor;
  if (dot == std::string_view::npos) return true;

  const std::string_view fraction = number.substr(dot + 1);
  std::uint64_t digits = 0;
  std::uint64_t scale = 1;
  if (fraction.empty() || fraction.size() > 7) return false;  // 2^40 × 10^7 fits
  for (const char c : fraction) {
    if (!IsDigit(c)) return false;
    digits = digits * 10 + static_cast<std::uint64_t>(c - '0');
    scale *= 10;
  }
  if (factor * digits % scale != 0) return false;
  result += factor * digits / scale;
  return result <= max;
}

Status BadDuration(std::string_view text) {
  return InvalidArgument("\"{}\" is not a duration; write e.g. 250ms, 5s, 1h30m or 24h", text);
}

}  // namespace

StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return BadDuration(text);
  std::uint64_t sum = 0;
  std::uint64_t last_factor = std::numeric_limits<std::uint64_t>::max();
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view number = Take(rest, [](char c) { return IsDigit(c) || c == '.'; });
    const Unit* unit = Find(kDurationUnits, Take(rest, IsLetter));
    std::uint64_t part = 0;
    if (unit == nullptr || unit->factor >= last_factor) return BadDuration(text);
    if (!Multiply(number, unit->factor, kDurationMax, part)) return BadDuration(text);
    last_factor = unit->factor;
    sum += part;
  }
  if (sum > kDurationMax) return BadDuration(text);
  return std::chrono::milliseconds(static_cast<std::int64_t>(sum));
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  if (duration.count() <= 0) return "0s";
  std::string text;
  auto left = static_cast<std::uint64_t>(duration.count());
  for (const Unit& unit : kDurationUnits) {
    // A day reads as 24h, as operators write it; "d" is only read.
    if (unit.name == "d" || left < unit.factor) continue;
    text += fmt::format("{}{}", left / unit.factor, unit.name);
    left %= unit.factor;
  }
  return text;
}

StatusOr<std::uint64_t> ParseSize(std::string_view text) {
  std::string_view rest = text;
  const std::string_view number = Take(rest, [](char c) { return IsDigit(c) || c == '.'; });
  const Unit* unit = Find(kSizeUnits, rest.empty() ? std::string_view("B") : rest);
  std::uint64_t bytes = 0;
  if (unit == nullptr ||
      !Multiply(number, unit->factor, std::numeric_limits<std::uint64_t>::max() / 2, bytes)) {
    return InvalidArgument("\"{}\" is not a size; write bytes, or e.g. 512KiB, 64MiB, 10GB, 64GiB",
                           text);
  }
  return bytes;
}

std::string FormatSize(std::uint64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    if (unit.factor > 1 && bytes >= unit.factor && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
    if (unit.factor == 1) break;  // decimal units are only read
  }
  return fmt::format("{}B", bytes);
}

StatusOr<std::uint32_t> ParseMode(std::string_view text) {
  std::uint32_t mode = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() ||
      mode > 0777) {
    return InvalidArgument("\"{}\" is not a file mode; write octal digits, e.g. 0660", text);
  }
  return mode;
}

std::string FormatMode(std::uint32_t mode) { return fmt::format("{:04o}", mode); }

StatusOr<bool> ParseBool(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* yes : {"true", "yes", "on", "1"}) {
    if (lower == yes) return true;
  }
  for (const char* no : {"false", "no", "off", "0"}) {
    if (lower == no) return false;
  }
  return InvalidArgument("\"{}\" is neither true nor false", text);
}

StatusOr<std::uint64_t> ParseUnsigned(std::string_view text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return InvalidArgument("\"{}\" is not a whole number without sign", text);
  }
  return value;
}

}  // namespace common
