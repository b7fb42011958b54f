#include "common/entry.h"

#include "common/names.h"
#include "common/status.h"
#include "common/wire.h"

namespace common {
namespace {

// tributary.v1.Entry
enum EntryField : std::uint32_t {
  kName = 1,
  kValue = 2,
  kPublishedAt = 3,
  kContentType = 4,
  kExpiresAt = 5
};
// envoy.service.discovery.v3.Resource
enum ResourceField : std::uint32_t { kResourceVersion = 1, kResourceAny = 2, kResourceName = 3 };
// google.protobuf.Any
enum AnyField : std::uint32_t { kTypeUrl = 1, kAnyValue = 2 };
constexpr std::uint32_t kResponseResources = 2;
constexpr std::uint32_t kResponseRemoved = 6;

// google.protobuf.Timestamp from milliseconds after 1970.
std::string TimestampBytes(std::int64_t unix_ms) {
  std::string out;
  const auto ms = static_cast<std::uint64_t>(unix_ms);
  if (ms / 1000 != 0) AppendVarintField(1, ms / 1000, out);
  if (ms % 1000 != 0) AppendVarintField(2, ms % 1000 * 1'000'000, out);
  return out;
}

std::optional<std::int64_t> ParseTimestamp(std::string_view bytes) {
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_varint()) seconds = static_cast<std::int64_t>(in.varint());
    if (in.field() == 2 && in.is_varint()) nanos = static_cast<std::int64_t>(in.varint());
  }
  constexpr std::int64_t kSecondsMax = 253'402'300'799;  // 9999-12-31
  const bool in_range =
      seconds >= 0 && seconds <= kSecondsMax && nanos >= 0 && nanos < 1'000'000'000;
  if (!in.ok() || !in_range) return std::nullopt;
  return seconds * 1000 + nanos / 1'000'000;
}

std::string_view FieldOf(std::string_view message, std::uint32_t field) {
  WireReader in(message);
  while (in.Next()) {
    if (in.field() == field && in.is_bytes()) return in.bytes();
  }
  return {};
}

}  // namespace

void AppendEntryPayload(const EntryView& entry, std::string& out) {
  AppendBytesField(kValue, entry.value, out);
  if (entry.published_at_ms > 0) {
    AppendBytesField(kPublishedAt, TimestampBytes(entry.published_at_ms), out);
  }
  if (!entry.content_type.empty()) AppendBytesField(kContentType, entry.content_type, out);
  if (entry.expires_at_ms > 0) {
    AppendBytesField(kExpiresAt, TimestampBytes(entry.expires_at_ms), out);
  }
}

std::optional<EntryView> ParseEntryPayload(std::string_view payload) {
  EntryView entry;
  WireReader in(payload);
  while (in.Next()) {
    if (!in.is_bytes()) continue;
    if (in.field() == kValue) entry.value = in.bytes();
    if (in.field() == kContentType) entry.content_type = in.bytes();
    if (in.field() == kPublishedAt || in.field() == kExpiresAt) {
      const std::optional<std::int64_t> unix_ms = ParseTimestamp(in.bytes());
      if (!unix_ms) return std::nullopt;
      (in.field() == kPublishedAt ? entry.published_at_ms : entry.expires_at_ms) = *unix_ms;
    }
  }
  if (!in.ok()) return std::nullopt;
  return entry;
}

void AppendResourceField(std::string_view name, std::string_view version, std::string_view type_url,
                         std::string_view payload, std::string& out) {
  const std::size_t any_size =
      BytesFieldSize(type_url.size()) + (payload.empty() ? 0 : BytesFieldSize(payload.size()));
  const std::size_t resource_size =
      BytesFieldSize(version.size()) + BytesFieldSize(any_size) + BytesFieldSize(name.size());
  AppendBytesHeader(kResponseResources, resource_size, out);
  AppendBytesField(kResourceVersion, version, out);
  AppendBytesHeader(kResourceAny, any_size, out);
  AppendBytesField(kTypeUrl, type_url, out);
  if (!payload.empty()) AppendBytesField(kAnyValue, payload, out);
  AppendBytesField(kResourceName, name, out);
}

void AppendEntryResource(std::string_view dataset, std::string_view key, const Version& version,
                         const EntryView& entry, std::string& out) {
  std::string payload;
  AppendEntryPayload(entry, payload);
  AppendResourceField(EntryName(dataset, key), FormatVersion(version), kEntryType, payload, out);
}

EntryView EntryOfResource(std::string_view resource_field) {
  const std::string_view resource = FieldOf(resource_field, kResponseResources);
  const std::string_view payload = FieldOf(FieldOf(resource, kResourceAny), kAnyValue);
  const std::optional<EntryView> entry = ParseEntryPayload(payload);
  CHECK(entry.has_value());
  return *entry;
}

void AppendRemovedField(std::string_view name, std::string& out) {
  AppendBytesField(kResponseRemoved, name, out);
}

}  // namespace common
