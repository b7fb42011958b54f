#include "control-plane/store/layout.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "common/lmdb.h"

namespace cp::layout {
namespace {

using common::lmdb::AppendBigEndian32;
using common::lmdb::AppendBigEndian64;
using common::lmdb::ReadBigEndian32;
using common::lmdb::ReadBigEndian64;

common::Status Damaged(std::string_view what) {
  return common::Error(common::StatusCode::kDataLoss, "the store's {} record is damaged", what);
}

// Takes fields off the front; after a field that is not there, ok() is false for good.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  char Byte() { return Has(1) ? Take(1)[0] : '\0'; }
  std::uint32_t Number32() { return Has(4) ? ReadBigEndian32(Take(4)) : 0; }
  std::uint64_t Number64() { return Has(8) ? ReadBigEndian64(Take(8)) : 0; }
  std::int64_t Millis() { return static_cast<std::int64_t>(Number64()); }
  std::string_view Text() {
    const std::size_t length = Number32();
    return Has(length) ? Take(length) : std::string_view();
  }
  std::string_view Rest() { return Take(rest_.size()); }

  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  bool Has(std::size_t length) {
    ok_ = ok_ && length <= rest_.size();
    return ok_;
  }
  std::string_view Take(std::size_t length) {
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::string_view rest_;
  bool ok_ = true;
};

void AppendMillis(std::int64_t ms, std::string& out) {
  AppendBigEndian64(static_cast<std::uint64_t>(ms), out);
}

void AppendText(std::string_view text, std::string& out) {
  AppendBigEndian32(static_cast<std::uint32_t>(text.size()), out);
  out.append(text);
}

void AppendPosition(Position position, std::string& out) {
  AppendBigEndian64(position.revision, out);
  AppendBigEndian32(position.ordinal, out);
}

Position TakePosition(Fields& in) {
  Position position;
  position.revision = in.Number64();
  position.ordinal = in.Number32();
  return position;
}

void AppendOutcome(const PublisherRecord::Decided& decided, std::string& out) {
  const Outcome& outcome = decided.outcome;
  AppendBigEndian64(decided.sequence, out);
  AppendBigEndian64(outcome.revision, out);
  AppendBigEndian64(outcome.deleted, out);
  AppendBigEndian32(static_cast<std::uint32_t>(outcome.status.code()), out);
  AppendText(common::Message(outcome.status).substr(0, kOutcomeMessageBytesMax), out);
  AppendText(outcome.skipped, out);
  out.push_back(decided.old_lost ? '\1' : '\0');
  AppendBigEndian32(static_cast<std::uint32_t>(outcome.old.size()), out);
  for (const auto& [write, value] : outcome.old) {
    AppendBigEndian32(write, out);
    AppendText(value, out);
  }
}

PublisherRecord::Decided TakeOutcome(Fields& in) {
  PublisherRecord::Decided decided{.sequence = in.Number64()};
  decided.outcome.revision = in.Number64();
  decided.outcome.deleted = in.Number64();
  const auto code = static_cast<common::StatusCode>(in.Number32());
  const std::string message(in.Text());
  decided.outcome.status = common::Status(code, message);  // no message is kept if the code is OK
  decided.outcome.skipped = in.Text();
  decided.old_lost = in.Byte() != 0;
  for (std::uint32_t count = in.Number32(); count > 0 && in.ok(); --count) {
    const std::uint32_t write = in.Number32();
    decided.outcome.old.emplace_back(write, in.Text());
  }
  return decided;
}

}  // namespace

void IdKey(std::uint32_t id, std::string& out) {
  out.clear();
  AppendBigEndian32(id, out);
}

void EntryKey(std::uint32_t id, std::string_view key, std::string& out) {
  IdKey(id, out);
  out.append(key);
}

void PositionKey(std::uint32_t id, Position position, std::string& out) {
  IdKey(id, out);
  AppendPosition(position, out);
}

void ExpiryKey(std::int64_t time_ms, std::string_view entry_key, std::string& out) {
  out.clear();
  AppendMillis(time_ms, out);
  out.append(entry_key);
}

std::int64_t TimeOfExpiryKey(std::string_view bytes) {
  CHECK(bytes.size() > 8 + kIdBytes);
  return static_cast<std::int64_t>(ReadBigEndian64(bytes));
}

std::string DeclarationKey(std::string_view kind, std::string_view name) {
  std::string key(kind);
  key.push_back('/');
  key.append(name);
  return key;
}

Position PositionOfKey(std::string_view bytes) {
  CHECK(bytes.size() == kIdBytes + kPositionBytes);
  bytes.remove_prefix(kIdBytes);
  return {ReadBigEndian64(bytes), ReadBigEndian32(bytes.substr(8))};
}

std::string EncodeNumber32(std::uint32_t number) {
  std::string out;
  AppendBigEndian32(number, out);
  return out;
}

std::string EncodeNumber64(std::uint64_t number) {
  std::string out;
  AppendBigEndian64(number, out);
  return out;
}

common::StatusOr<std::uint32_t> DecodeNumber32(std::string_view bytes) {
  if (bytes.size() != 4) return Damaged("meta");
  return ReadBigEndian32(bytes);
}

common::StatusOr<std::uint64_t> DecodeNumber64(std::string_view bytes) {
  if (bytes.size() != 8) return Damaged("meta");
  return ReadBigEndian64(bytes);
}

std::string EncodePosition(Position position) {
  std::string out;
  AppendPosition(position, out);
  return out;
}

common::StatusOr<Position> DecodePosition(std::string_view bytes) {
  Fields in(bytes);
  const Position position = TakePosition(in);
  if (!in.AtEnd()) return Damaged("tombstone");
  return position;
}

void AppendEntryHeader(const EntryRecord& record, std::string& out) {
  AppendBigEndian64(record.version.epoch, out);
  AppendPosition(record.position(), out);
}

common::StatusOr<EntryRecord> DecodeEntry(std::string_view bytes) {
  Fields in(bytes);
  EntryRecord record;
  record.version.epoch = in.Number64();
  const Position position = TakePosition(in);
  record.version.revision = position.revision;
  record.ordinal = position.ordinal;
  record.resource = in.Rest();
  if (!in.ok() || record.resource.empty()) return Damaged("entry");
  return record;
}

std::string EncodeRemoval(const RemovalRecord& record) {
  std::string out;
  AppendBigEndian64(record.epoch, out);
  AppendMillis(record.removed_ms, out);
  out.append(record.key);
  return out;
}

common::StatusOr<RemovalRecord> DecodeRemoval(std::string_view bytes) {
  Fields in(bytes);
  RemovalRecord record;
  record.epoch = in.Number64();
  record.removed_ms = in.Millis();
  record.key = in.Rest();
  if (!in.ok() || record.key.empty()) return Damaged("removal");
  return record;
}

std::string EncodeDataset(const DatasetRecord& record) {
  std::string out;
  AppendBigEndian32(record.state.id, out);
  AppendBigEndian64(record.state.head, out);
  AppendBigEndian64(record.state.floor, out);
  AppendBigEndian64(record.state.entries, out);
  AppendBigEndian64(record.state.bytes, out);
  AppendBigEndian64(record.state.digest.high, out);
  AppendBigEndian64(record.state.digest.low, out);
  AppendBigEndian64(record.tombstones, out);
  AppendMillis(record.withdrawn_ms, out);
  return out;
}

common::StatusOr<DatasetRecord> DecodeDataset(std::string_view bytes) {
  Fields in(bytes);
  DatasetRecord record;
  record.state.id = in.Number32();
  record.state.head = in.Number64();
  record.state.floor = in.Number64();
  record.state.entries = in.Number64();
  record.state.bytes = in.Number64();
  record.state.digest.high = in.Number64();
  record.state.digest.low = in.Number64();
  record.tombstones = in.Number64();
  record.withdrawn_ms = in.Millis();
  if (!in.AtEnd()) return Damaged("dataset");
  return record;
}

void PublisherRecord::Forget(std::uint64_t sequence) {
  while (!decided.empty() && decided.front().sequence <= sequence) decided.pop_front();
}

void PublisherRecord::BoundOldValues() {
  std::size_t bytes = 0;
  for (auto it = decided.rbegin(); it != decided.rend(); ++it) {
    for (const auto& [write, value] : it->outcome.old) bytes += value.size();
    if (it->outcome.old.empty() || bytes <= kOutcomeOldBytesKept) continue;
    it->outcome.old.clear();
    it->old_lost = true;
  }
}

std::string EncodePublisher(const PublisherRecord& record) {
  std::string out;
  AppendMillis(record.seen_ms, out);
  AppendBigEndian64(record.last_sequence, out);
  for (const PublisherRecord::Decided& decided : record.decided) AppendOutcome(decided, out);
  return out;
}

common::StatusOr<PublisherRecord> DecodePublisher(std::string_view bytes) {
  Fields in(bytes);
  PublisherRecord record;
  record.seen_ms = in.Millis();
  record.last_sequence = in.Number64();
  while (in.ok() && !in.AtEnd()) record.decided.push_back(TakeOutcome(in));
  if (!in.ok() || record.decided.size() > common::kPublisherResultsKept) {
    return Damaged("publisher");
  }
  return record;
}

std::string EncodeDeclaration(const DeclarationChange& change) {
  CHECK(change.object.has_value());
  std::string out;
  AppendBigEndian32(static_cast<std::uint32_t>(change.source), out);
  AppendText(change.origin, out);
  out.append(common::ToJson(*change.object));
  return out;
}

common::StatusOr<DeclarationChange> DecodeDeclaration(std::string_view key,
                                                      std::string_view bytes) {
  const std::size_t slash = key.find('/');
  Fields in(bytes);
  const std::uint32_t source = in.Number32();
  const std::string_view origin = in.Text();
  const std::string_view json = in.Rest();
  if (slash == std::string_view::npos || !in.ok() ||
      source > static_cast<std::uint32_t>(Source::kKubernetes)) {
    return Damaged("declaration");
  }
  auto parsed = common::ParseDeclarations(json, fmt::format("declaration {} in the store", key));
  if (!parsed.ok()) return Damaged(common::Message(parsed.status()));
  if (parsed->size() != 1) return Damaged("declaration");
  DeclarationChange change{.kind = std::string(key.substr(0, slash)),
                           .name = std::string(key.substr(slash + 1)),
                           .object = std::move(parsed->front()),
                           .source = static_cast<Source>(source),
                           .origin = std::string(origin)};
  const bool matches = common::KindOf(*change.object) == change.kind &&
                       common::NameOf(*change.object) == change.name;
  if (!matches) return Damaged("declaration");
  return change;
}

}  // namespace cp::layout
