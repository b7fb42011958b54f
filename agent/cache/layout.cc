#include "agent/cache/layout.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

#include "common/limits.h"
#include "common/wire.h"

namespace agent {
namespace {

static_assert(std::endian::native == std::endian::little,
              "records are written as they lie in memory");

// Offsets in an entry record.
constexpr std::size_t kCheckBytes = 4;
constexpr std::size_t kFormatAt = 4;
constexpr std::size_t kContentTypeLengthAt = 5;
constexpr std::size_t kEpochAt = 6;
constexpr std::size_t kRevisionAt = 12;
constexpr std::size_t kPublishedAt = 20;
constexpr std::size_t kExpiresAt = 28;
constexpr std::size_t kHashAt = 36;
constexpr std::size_t kHeaderBytes = 52;
constexpr std::size_t kEpochBytes = 6;
constexpr char kEntryFormat = 1;
constexpr char kEntryFormatAbsent = 3;
constexpr char kEntryFormatText = 2;  // with the text of a foreign version

constexpr std::size_t kCopyCheckBytes = 8;
constexpr std::size_t kStagedHeaderBytes = 3;

static_assert(common::kContentTypeBytesMax <= UINT8_MAX);
static_assert(kVersionTextBytesMax <= UINT8_MAX);
static_assert(common::kKeyBytesMax <= UINT16_MAX);

// Fields of a copy record.
enum CopyField : std::uint32_t {
  kDataset = 1,
  kPrefix = 2,
  kDenial = 3,
  kReady = 4,
  kLoading = 5,
  kStaged = 6,
  kByName = 7,
  kRepairs = 8,
};
// Fields of a generation.
enum GenerationField : std::uint32_t {
  kSlot = 1,
  kSerial = 2,
  kEpoch = 3,
  kRevision = 4,
  kEntries = 5,
  kBytes = 6,
  kDigestLow = 7,
  kDigestHigh = 8,
  kGreatestKey = 9,
};

template <class T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <class T>
void Store(T value, char* to) {
  std::memcpy(to, &value, sizeof(value));
}

// Of everything between the check and the value.
std::uint32_t HeaderCheck(std::string_view head) {
  return static_cast<std::uint32_t>(
      XXH3_64bits(head.data() + kCheckBytes, head.size() - kCheckBytes));
}

std::string EncodeGeneration(const Generation& generation) {
  std::string out;
  common::AppendVarintField(kSlot, generation.slot, out);
  common::AppendVarintField(kSerial, generation.serial, out);
  common::AppendVarintField(kEpoch, generation.at.epoch, out);
  common::AppendVarintField(kRevision, generation.at.revision, out);
  common::AppendVarintField(kEntries, generation.entries, out);
  common::AppendVarintField(kBytes, generation.bytes, out);
  common::AppendVarintField(kDigestLow, generation.digest.low, out);
  common::AppendVarintField(kDigestHigh, generation.digest.high, out);
  common::AppendBytesField(kGreatestKey, generation.greatest_key, out);
  return out;
}

std::optional<Generation> ParseGeneration(std::string_view bytes) {
  Generation generation;
  common::WireReader in(bytes);
  while (in.Next()) {
    const std::uint64_t number = in.is_varint() ? in.varint() : 0;
    switch (in.field()) {
      case kSlot:
        if (number >= common::kGenerationsMax) return std::nullopt;
        generation.slot = static_cast<std::uint32_t>(number);
        break;
      case kSerial:
        generation.serial = number;
        break;
      case kEpoch:
        generation.at.epoch = number;
        break;
      case kRevision:
        generation.at.revision = number;
        break;
      case kEntries:
        generation.entries = number;
        break;
      case kBytes:
        generation.bytes = number;
        break;
      case kDigestLow:
        generation.digest.low = number;
        break;
      case kDigestHigh:
        generation.digest.high = number;
        break;
      case kGreatestKey:
        if (!in.is_bytes()) return std::nullopt;
        generation.greatest_key = in.bytes();
        break;
      default:
        break;
    }
  }
  if (!in.ok()) return std::nullopt;
  return generation;
}

bool ParseCopyField(const common::WireReader& in, CopyRecord& record) {
  switch (in.field()) {
    case kDataset:
      record.collection.dataset = in.bytes();
      return in.is_bytes();
    case kPrefix:
      record.collection.prefix = in.bytes();
      return in.is_bytes();
    case kDenial:
      record.denial = static_cast<Denial>(in.varint());
      return in.is_varint() && in.varint() <= static_cast<std::uint64_t>(Denial::kNoPermission);
    case kReady:
      record.ready = ParseGeneration(in.bytes());
      return in.is_bytes() && record.ready.has_value();
    case kLoading:
      record.loading = ParseGeneration(in.bytes());
      return in.is_bytes() && record.loading.has_value();
    case kStaged:
      record.staged = in.varint();
      return in.is_varint();
    case kByName:
      record.by_name = in.varint() != 0;
      return in.is_varint();
    case kRepairs:
      record.repairs = in.varint() != 0;
      return in.is_varint();
    default:
      return true;
  }
}

}  // namespace

EntryRecord AppendEntryRecord(std::string_view key, const common::Version& version,
                              const common::EntryView& entry, std::string& out,
                              std::string_view version_text) {
  CHECK(entry.content_type.size() <= common::kContentTypeBytesMax);
  CHECK(version_text.size() <= kVersionTextBytesMax);
  const std::size_t begin = out.size();
  const std::size_t text_size = version_text.empty() ? 0 : 1 + version_text.size();
  const std::size_t head_size = kHeaderBytes + entry.content_type.size() + text_size;
  out.reserve(begin + head_size + entry.value.size());
  out.resize(begin + kHeaderBytes);
  out.append(entry.content_type);
  if (!version_text.empty()) {
    out.append(1, static_cast<char>(version_text.size())).append(version_text);
  }
  char* head = out.data() + begin;
  const common::Digest hash = common::EntryHash(key, version, entry.value);
  head[kFormatAt] = version_text.empty() ? kEntryFormat : kEntryFormatText;
  head[kContentTypeLengthAt] = static_cast<char>(entry.content_type.size());
  std::memcpy(head + kEpochAt, &version.epoch, kEpochBytes);
  Store(version.revision, head + kRevisionAt);
  Store(entry.published_at_ms, head + kPublishedAt);
  Store(entry.expires_at_ms, head + kExpiresAt);
  Store(hash.low, head + kHashAt);
  Store(hash.high, head + kHashAt + 8);
  Store(HeaderCheck({head, head_size}), head);
  out.append(entry.value);
  return {.version = version, .version_text = version_text, .hash = hash, .entry = entry};
}

EntryRecord AppendAbsenceRecord(std::string_view key, const common::Version& version,
                                std::string& out) {
  const std::size_t begin = out.size();
  EntryRecord record = AppendEntryRecord(key, version, {}, out);
  char* head = out.data() + begin;
  head[kFormatAt] = kEntryFormatAbsent;
  Store(HeaderCheck({head, kHeaderBytes}), head);
  record.absent = true;
  return record;
}

std::optional<EntryRecord> ParseEntryRecord(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  const auto type_size = static_cast<unsigned char>(bytes[kContentTypeLengthAt]);
  std::size_t head_size = kHeaderBytes + type_size;
  std::size_t text_size = 0;
  if (bytes[kFormatAt] == kEntryFormatText) {
    if (bytes.size() <= head_size) return std::nullopt;
    text_size = static_cast<unsigned char>(bytes[head_size]);
    head_size += 1 + text_size;
  } else if (bytes[kFormatAt] != kEntryFormat && bytes[kFormatAt] != kEntryFormatAbsent) {
    return std::nullopt;
  }
  if (bytes.size() < head_size) return std::nullopt;
  const char* head = bytes.data();
  if (Load<std::uint32_t>(head) != HeaderCheck(bytes.substr(0, head_size))) return std::nullopt;
  EntryRecord record;
  std::memcpy(&record.version.epoch, head + kEpochAt, kEpochBytes);
  record.version.revision = Load<std::uint64_t>(head + kRevisionAt);
  record.entry.published_at_ms = Load<std::int64_t>(head + kPublishedAt);
  record.entry.expires_at_ms = Load<std::int64_t>(head + kExpiresAt);
  record.hash = {.low = Load<std::uint64_t>(head + kHashAt),
                 .high = Load<std::uint64_t>(head + kHashAt + 8)};
  record.entry.content_type = bytes.substr(kHeaderBytes, type_size);
  record.entry.value = bytes.substr(head_size);
  record.absent = bytes[kFormatAt] == kEntryFormatAbsent;
  record.version_text = bytes.substr(head_size - text_size, text_size);
  return record;
}

std::uint32_t EntryRecordCheck(std::string_view bytes) { return Load<std::uint32_t>(bytes.data()); }

std::optional<EntryRecord> VerifyEntryRecord(std::string_view key, std::string_view bytes) {
  std::optional<EntryRecord> record = ParseEntryRecord(bytes);
  if (!record) return std::nullopt;
  if (common::EntryHash(key, record->version, record->entry.value) != record->hash) {
    return std::nullopt;
  }
  return record;
}

std::string StagingKey(std::uint32_t copy, std::uint64_t ordinal) {
  std::string key;
  common::lmdb::AppendBigEndian32(copy, key);
  common::lmdb::AppendBigEndian64(ordinal, key);
  return key;
}

void AppendStagedChange(const Change& change, std::string& out) {
  out.push_back(change.entry ? 1 : 0);
  char length[2];
  Store(static_cast<std::uint16_t>(change.key.size()), length);
  out.append(length, sizeof(length)).append(change.key);
  if (!change.entry) return;
  AppendEntryRecord(change.key, change.version, *change.entry, out, change.version_text);
}

std::optional<StagedChange> ParseStagedChange(std::string_view bytes) {
  if (bytes.size() < kStagedHeaderBytes) return std::nullopt;
  const std::size_t key_size = Load<std::uint16_t>(bytes.data() + 1);
  const bool is_entry = bytes[0] == 1;
  if ((bytes[0] != 0 && !is_entry) || bytes.size() - kStagedHeaderBytes < key_size) {
    return std::nullopt;
  }
  const StagedChange change{.key = bytes.substr(kStagedHeaderBytes, key_size),
                            .record = bytes.substr(kStagedHeaderBytes + key_size)};
  if (change.key.empty() || change.record.empty() == is_entry) return std::nullopt;
  return change;
}

std::string CopyKey(std::uint32_t id) {
  std::string key;
  common::lmdb::AppendBigEndian32(id, key);
  return key;
}

std::string EncodeCopyRecord(const CopyRecord& record) {
  std::string out(kCopyCheckBytes, '\0');
  common::AppendBytesField(kDataset, record.collection.dataset, out);
  common::AppendBytesField(kPrefix, record.collection.prefix, out);
  common::AppendVarintField(kDenial, static_cast<std::uint64_t>(record.denial), out);
  if (record.ready) common::AppendBytesField(kReady, EncodeGeneration(*record.ready), out);
  if (record.loading) common::AppendBytesField(kLoading, EncodeGeneration(*record.loading), out);
  common::AppendVarintField(kStaged, record.staged, out);
  if (record.by_name) common::AppendVarintField(kByName, 1, out);
  if (record.repairs) common::AppendVarintField(kRepairs, 1, out);
  Store<std::uint64_t>(XXH3_64bits(out.data() + kCopyCheckBytes, out.size() - kCopyCheckBytes),
                       out.data());
  return out;
}

std::optional<CopyRecord> ParseCopyRecord(std::string_view key, std::string_view bytes) {
  if (key.size() != 4 || bytes.size() < kCopyCheckBytes) return std::nullopt;
  const std::string_view fields = bytes.substr(kCopyCheckBytes);
  if (Load<std::uint64_t>(bytes.data()) != XXH3_64bits(fields.data(), fields.size())) {
    return std::nullopt;
  }
  CopyRecord record;
  record.id = common::lmdb::ReadBigEndian32(key);
  common::WireReader in(fields);
  while (in.Next()) {
    if (!ParseCopyField(in, record)) return std::nullopt;
  }
  if (!in.ok() || record.collection.dataset.empty()) return std::nullopt;
  return record;
}

CopyState StateOf(const CopyRecord& record) {
  CopyState state;
  state.collection = record.collection;
  state.complete = record.ready.has_value();
  state.loading = record.loading.has_value();
  state.denial = record.denial;
  state.by_name = record.by_name;
  state.repairing = record.repairs;
  if (record.ready) {
    state.cursor = record.ready->at;
    state.entries = record.ready->entries;
    state.bytes = record.ready->bytes;
    state.digest = record.ready->digest;
  }
  if (record.loading && !record.loading->greatest_key.empty()) {
    state.load_cursor = common::Cursor{.epoch = record.loading->at.epoch,
                                       .revision = record.loading->at.revision,
                                       .last_key = record.loading->greatest_key};
  }
  return state;
}

}  // namespace agent
