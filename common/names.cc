#include "common/names.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "common/limits.h"

namespace common {
namespace {

constexpr std::string_view kScheme = "xdstp://";
constexpr std::string_view kEntryPath = "/tributary.v1.Entry/";
constexpr std::string_view kDatasetStatePath = "/tributary.v1.DatasetState/";
constexpr std::string_view kPrefixParameter = "?prefix=";

bool IsLabelByte(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsLabel(std::string_view label) {
  if (label.empty() || label.size() > kDnsLabelBytesMax) return false;
  if (!IsLabelByte(label.front()) || !IsLabelByte(label.back())) return false;
  return std::ranges::all_of(label, [](char c) { return IsLabelByte(c) || c == '-'; });
}

bool IsDottedName(std::string_view name) {
  while (true) {
    const std::size_t dot = name.find('.');
    if (!IsLabel(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

Status ValidateDotted(std::string_view what, std::string_view name, std::size_t bytes_max) {
  if (name.empty()) return InvalidArgument("{} name is empty", what);
  if (name.size() > bytes_max) {
    return InvalidArgument("{} name has {} bytes, at most {} are allowed", what, name.size(),
                           bytes_max);
  }
  if (IsDottedName(name)) return OkStatus();
  return InvalidArgument(
      "{} name '{}' is not DNS labels joined by dots (lower-case letters, digits and '-', each "
      "label at most {} bytes)",
      what, name, kDnsLabelBytesMax);
}

constexpr std::array<bool, 256> MakeUnreservedTable() {
  std::array<bool, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const char c = static_cast<char>(i);
    table[i] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~';
  }
  return table;
}
constexpr std::array<bool, 256> kUnreserved = MakeUnreservedTable();

// The part after "xdstp://<authority>" if `name` continues with `path`.
std::optional<std::string_view> AfterPath(std::string_view name, std::string_view path) {
  if (!name.starts_with(kScheme)) return std::nullopt;
  name.remove_prefix(kScheme.size());
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  name.remove_prefix(slash);
  if (!name.starts_with(path)) return std::nullopt;
  return name.substr(path.size());
}

// Matches one [set]; returns the pattern index after it.
std::size_t MatchSet(std::string_view pattern, std::size_t at, char c, bool& matched) {
  const bool negate = at < pattern.size() && pattern[at] == '^';
  if (negate) ++at;
  matched = false;
  while (at < pattern.size() && pattern[at] != ']') {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    char low = pattern[at++];
    char high = low;
    if (at + 1 < pattern.size() && pattern[at] == '-') {
      high = pattern[at + 1];
      at += 2;
    }
    if (low > high) std::swap(low, high);
    if (c >= low && c <= high) matched = true;
  }
  if (negate) matched = !matched;
  return at < pattern.size() ? at + 1 : at;
}

// Matches one non-star element of `pattern` at `p` against `c`; returns the index after it, or
// npos.
std::size_t MatchOne(std::string_view pattern, std::size_t p, char c) {
  if (pattern[p] == '?') return p + 1;
  if (pattern[p] == '[') {
    bool matched = false;
    const std::size_t next = MatchSet(pattern, p + 1, c, matched);
    return matched ? next : std::string_view::npos;
  }
  if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
  return pattern[p] == c ? p + 1 : std::string_view::npos;
}

// Appends it; false: malformed, and part of it may have been appended.
bool PercentDecodeTo(std::string_view encoded, std::string& out) {
  for (;;) {
    const std::size_t escape = encoded.find('%');
    out.append(encoded.substr(0, escape));
    if (escape == std::string_view::npos) return true;
    encoded.remove_prefix(escape);
    if (encoded.size() < 3) return false;
    const int high = HexValue(encoded[1]);
    const int low = HexValue(encoded[2]);
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    encoded.remove_prefix(3);
  }
}

}  // namespace

Status ValidateDatasetName(std::string_view name) {
  return ValidateDotted("dataset", name, kDatasetNameBytesMax);
}

Status ValidateServiceName(std::string_view name) {
  return ValidateDotted("service", name, kServiceNameBytesMax);
}

Status ValidateKey(std::string_view key) {
  if (key.empty()) return InvalidArgument("key is empty");
  if (key.size() > kKeyBytesMax) {
    return InvalidArgument("key has {} bytes, at most {} are allowed", key.size(), kKeyBytesMax);
  }
  return OkStatus();
}

Status ValidateServicePattern(std::string_view pattern) {
  if (pattern == "*") return OkStatus();
  const std::string_view name = pattern.starts_with("*.") ? pattern.substr(2) : pattern;
  if (ValidateServiceName(name).ok()) return OkStatus();
  return InvalidArgument("'{}' is not a service name, '*' or '*.<suffix>'", pattern);
}

bool ServiceMatches(std::string_view pattern, std::string_view service) {
  if (pattern == "*") return true;
  if (pattern.starts_with("*.")) {
    return service.size() >= pattern.size() && service.ends_with(pattern.substr(1));
  }
  return pattern == service;
}

void AppendPercentEncoded(std::string_view raw, std::string& out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (kUnreserved[byte]) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
}

std::string PercentEncode(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  AppendPercentEncoded(raw, out);
  return out;
}

std::optional<std::string> PercentDecode(std::string_view encoded) {
  std::string out;
  out.reserve(encoded.size());
  if (!PercentDecodeTo(encoded, out)) return std::nullopt;
  return out;
}

void AppendEntryName(std::string_view dataset, std::string_view key, std::string& out) {
  out.append(kScheme).append(kEntryPath).append(dataset).push_back('/');
  AppendPercentEncoded(key, out);
}

std::string EntryName(std::string_view dataset, std::string_view key) {
  std::string out;
  out.reserve(kScheme.size() + kEntryPath.size() + dataset.size() + key.size() + 1);
  AppendEntryName(dataset, key, out);
  return out;
}

std::string CollectionName(const Collection& collection) {
  std::string out;
  out.append(kScheme).append(kEntryPath).append(collection.dataset).append("/*");
  if (!collection.prefix.empty()) {
    out.append(kPrefixParameter);
    AppendPercentEncoded(collection.prefix, out);
  }
  return out;
}

std::string DatasetStateName(std::string_view dataset) {
  std::string out;
  out.append(kScheme).append(kDatasetStatePath).append(dataset);
  return out;
}

std::string SubscriptionName(std::string_view service, std::string_view name) {
  return fmt::format("{}/tributary.v1.Subscription/{}/{}", kScheme, service, name);
}

std::string_view KeyOfSegment(std::string_view segment, std::string& decoded) {
  if (segment.starts_with('*') || segment.find('/') != std::string_view::npos) return {};
  if (segment.find('%') != std::string_view::npos) {
    decoded.clear();
    if (!PercentDecodeTo(segment, decoded)) return {};
    segment = decoded;
  }
  return segment.size() <= kKeyBytesMax ? segment : std::string_view();
}

std::optional<EntryNameParts> ParseEntryName(std::string_view name) {
  if (name.size() > kResourceNameBytesMax) return std::nullopt;
  const std::optional<std::string_view> rest = AfterPath(name, kEntryPath);
  if (!rest) return std::nullopt;
  const std::size_t slash = rest->find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  EntryNameParts parts;
  parts.dataset = std::string(rest->substr(0, slash));
  if (!ValidateDatasetName(parts.dataset).ok()) return std::nullopt;
  std::string_view last = rest->substr(slash + 1);
  if (last.starts_with("*")) {
    last.remove_prefix(1);
    parts.is_collection = true;
    if (last.empty()) return parts;
    if (!last.starts_with(kPrefixParameter)) return std::nullopt;
    std::optional<std::string> prefix = PercentDecode(last.substr(kPrefixParameter.size()));
    if (!prefix || prefix->size() > kKeyBytesMax) return std::nullopt;
    parts.prefix = *std::move(prefix);
    return parts;
  }
  std::string decoded;
  parts.key = KeyOfSegment(last, decoded);
  if (parts.key.empty()) return std::nullopt;
  return parts;
}

std::optional<std::string> ParseDatasetStateName(std::string_view name) {
  const std::optional<std::string_view> rest = AfterPath(name, kDatasetStatePath);
  if (!rest || !ValidateDatasetName(*rest).ok()) return std::nullopt;
  return std::string(*rest);
}

bool IsUtf8(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || i + length > bytes.size()) return false;
    char32_t code = lead & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = (code << 6) | (next & 0x3Fu);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

bool GlobMatch(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // where to resume after a mismatch
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    const std::size_t next =
        p < pattern.size() ? MatchOne(pattern, p, text[t]) : std::string_view::npos;
    if (next != std::string_view::npos) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string GlobLiteralPrefix(std::string_view pattern) {
  std::string prefix;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '*' || c == '?' || c == '[') break;
    if (c == '\\' && i + 1 < pattern.size()) ++i;
    prefix.push_back(pattern[i]);
  }
  return prefix;
}

}  // namespace common
