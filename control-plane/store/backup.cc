#include "control-plane/store/backup.h"

#include <xxhash.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/limits.h"

namespace cp {
namespace {

using common::Error;
using common::InvalidArgument;
using common::StatusCode;
using common::lmdb::AppendBigEndian32;
using common::lmdb::AppendBigEndian64;
using common::lmdb::ReadBigEndian32;
using common::lmdb::ReadBigEndian64;
using nlohmann::json;
namespace lmdb = common::lmdb;

constexpr std::string_view kMagic = "tributary-backup 1\n";
constexpr std::string_view kMagicName = "tributary-backup ";
constexpr int kBackupFormat = 1;
constexpr std::size_t kBlockHeader = 12;
constexpr std::size_t kRowHeader = 9;
constexpr std::size_t kPayloadTarget = common::kMiB;
// A row is at most an entry with its names and framing; publishers' outcomes are smaller.
constexpr std::size_t kPayloadMax = kPayloadTarget + common::kValueBytesMax + 256 * common::kKiB;

std::uint64_t Number(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_number_unsigned() ? it->get<std::uint64_t>() : 0;
}

}  // namespace

std::array<lmdb::Dbi, kBackupTables> BackupTables(const Tables& tables) {
  return {tables.declarations, tables.datasets, tables.entries,
          tables.tombstones,   tables.changes,  tables.removals,
          tables.publishers,   tables.expiries, tables.purging};
}

// --- reading a store --------------------------------------------------------------------------

common::StatusOr<std::unique_ptr<BackupReader>> BackupReader::Open(const lmdb::Env& env,
                                                                   const Tables& tables,
                                                                   std::int64_t now_ms) {
  ASSIGN_OR_RETURN(lmdb::ReadTxn txn, env.BeginRead());
  std::unique_ptr<BackupReader> reader(new BackupReader(std::move(txn), tables));
  BackupHeader& header = reader->header_;
  ASSIGN_OR_RETURN(header.head, ReadMeta64(reader->txn_, tables, layout::kMetaHead));
  ASSIGN_OR_RETURN(header.next_dataset, ReadMeta32(reader->txn_, tables, layout::kMetaNextDataset));
  ASSIGN_OR_RETURN(header.epoch, ReadMeta64(reader->txn_, tables, layout::kMetaEpoch));
  for (const lmdb::Dbi dbi : reader->tables_) {
    ASSIGN_OR_RETURN(const std::size_t rows, reader->txn_.Count(dbi));
    header.rows += rows;
  }
  header.created_ms = now_ms;
  header.bytes = env.used_bytes();
  return reader;
}

std::string BackupReader::Block(std::string_view payload) {
  std::string block;
  AppendBigEndian32(static_cast<std::uint32_t>(payload.size()), block);
  AppendBigEndian64(XXH3_64bits_withSeed(payload.data(), payload.size(), blocks_++), block);
  block.append(payload);
  return block;
}

common::StatusOr<std::string> BackupReader::Next() {
  switch (stage_) {
    case Stage::kHeader: {
      stage_ = Stage::kRows;
      const json header = {{"format", kBackupFormat},
                           {"store_format", layout::kFormat},
                           {"epoch", common::FormatEpoch(header_.epoch)},
                           {"head", header_.head},
                           {"next_dataset", header_.next_dataset},
                           {"created_ms", header_.created_ms},
                           {"rows", header_.rows},
                           {"bytes", header_.bytes}};
      return std::string(kMagic) + Block("H" + header.dump());
    }
    case Stage::kRows: {
      std::string payload = "R";
      RETURN_IF_ERROR(AppendRows(payload));
      if (payload.size() > 1) return Block(payload);
      [[fallthrough]];
    }
    case Stage::kEnd:
      stage_ = Stage::kDone;
      return Block("E" + json::object({{"rows", header_.rows}}).dump());
    case Stage::kDone:
      break;
  }
  return std::string();
}

common::Status BackupReader::AppendRows(std::string& payload) {
  for (; table_ < kBackupTables; ++table_) {
    ASSIGN_OR_RETURN(lmdb::Cursor cursor, lmdb::Cursor::Open(txn_, tables_[table_]));
    RETURN_IF_ERROR(after_.empty() ? cursor.First() : cursor.Seek(after_));
    if (!after_.empty() && cursor.valid() && cursor.key() == after_) {
      RETURN_IF_ERROR(cursor.Next());
    }
    while (cursor.valid()) {
      payload.push_back(static_cast<char>(table_));
      AppendBigEndian32(static_cast<std::uint32_t>(cursor.key().size()), payload);
      AppendBigEndian32(static_cast<std::uint32_t>(cursor.value().size()), payload);
      payload.append(cursor.key()).append(cursor.value());
      after_.assign(cursor.key());
      if (payload.size() >= kPayloadTarget) return common::OkStatus();
      RETURN_IF_ERROR(cursor.Next());
    }
    after_.clear();
  }
  return common::OkStatus();
}

// --- taking a file apart ----------------------------------------------------------------------

common::Status BackupParser::Damaged(std::string_view what) const {
  return Error(StatusCode::kDataLoss, "the backup is damaged at byte {} (block {}): {}", offset_,
               blocks_, what);
}

common::Status BackupParser::Feed(std::string_view bytes) {
  kept_.append(bytes);
  std::string_view rest = kept_;
  const auto take = [&](std::size_t count) {
    rest.remove_prefix(count);
    offset_ += count;
  };
  if (!has_magic_) {
    const std::size_t shown = std::min(rest.size(), kMagicName.size());
    if (rest.substr(0, shown) != kMagicName.substr(0, shown)) {
      return InvalidArgument("this is not a backup made by tributaryctl");
    }
    if (rest.size() < kMagic.size()) return common::OkStatus();
    if (!rest.starts_with(kMagic)) {
      return InvalidArgument("the backup was made by a newer version: restore it with that one");
    }
    take(kMagic.size());
    has_magic_ = true;
  }
  while (rest.size() >= kBlockHeader) {
    if (ended_) return Damaged("there are bytes behind its end");
    const std::size_t length = ReadBigEndian32(rest);
    if (length == 0 || length > kPayloadMax) return Damaged("a block of an impossible length");
    if (rest.size() < kBlockHeader + length) break;
    const std::string_view payload = rest.substr(kBlockHeader, length);
    const std::uint64_t sum = XXH3_64bits_withSeed(payload.data(), payload.size(), blocks_);
    if (sum != ReadBigEndian64(rest.substr(4))) return Damaged("the checksum does not match");
    RETURN_IF_ERROR(TakeBlock(payload));
    ++blocks_;
    take(kBlockHeader + length);
  }
  if (ended_ && !rest.empty()) return Damaged("there are bytes behind its end");
  kept_.erase(0, kept_.size() - rest.size());
  return common::OkStatus();
}

common::Status BackupParser::Finish() const {
  if (ended_) return common::OkStatus();
  return Error(StatusCode::kDataLoss,
               "the backup ends after {} bytes, before it is complete: take it again",
               offset_ + kept_.size());
}

common::Status BackupParser::TakeBlock(std::string_view payload) {
  const char kind = payload[0];
  const std::string_view rest = payload.substr(1);
  if ((blocks_ == 0) != (kind == 'H')) return Damaged("the header is not where it belongs");
  if (kind == 'H') return TakeHeader(rest);
  if (kind == 'R') return TakeRows(rest);
  if (kind == 'E') return TakeEnd(rest);
  return Damaged("a block of an unknown kind");
}

common::Status BackupParser::TakeHeader(std::string_view text) {
  const json header = json::parse(text, nullptr, false);
  if (!header.is_object()) return Damaged("the header is not JSON");
  if (Number(header, "store_format") != layout::kFormat) {
    return InvalidArgument(
        "the backup holds a store of format {}, this version restores format {}: use the version "
        "that made it",
        Number(header, "store_format"), layout::kFormat);
  }
  const auto epoch = header.find("epoch");
  const bool has_epoch = epoch != header.end() && epoch->is_string();
  const auto version =
      common::ParseVersion((has_epoch ? epoch->get<std::string>() : std::string()) + ".0");
  if (!version) return Damaged("the header names no epoch");
  if (Number(header, "next_dataset") == 0) return Damaged("the header names no next dataset");
  header_ = {.epoch = version->epoch,
             .head = Number(header, "head"),
             .next_dataset = static_cast<std::uint32_t>(Number(header, "next_dataset")),
             .created_ms = static_cast<std::int64_t>(Number(header, "created_ms")),
             .rows = Number(header, "rows"),
             .bytes = Number(header, "bytes")};
  return handlers_.on_header ? handlers_.on_header(header_) : common::OkStatus();
}

common::Status BackupParser::TakeRows(std::string_view rest) {
  while (!rest.empty()) {
    if (rest.size() < kRowHeader) return Damaged("a row is cut short");
    const std::size_t table = static_cast<unsigned char>(rest[0]);
    const std::size_t key_size = ReadBigEndian32(rest.substr(1));
    const std::size_t value_size = ReadBigEndian32(rest.substr(5));
    rest.remove_prefix(kRowHeader);
    if (key_size > rest.size() || value_size > rest.size() - key_size) {
      return Damaged("a row is cut short");
    }
    if (table < table_ || table >= kBackupTables) return Damaged("a row of an unknown table");
    table_ = table;
    if (handlers_.on_row) {
      RETURN_IF_ERROR(
          handlers_.on_row(table, rest.substr(0, key_size), rest.substr(key_size, value_size)));
    }
    rest.remove_prefix(key_size + value_size);
    ++rows_;
  }
  return common::OkStatus();
}

common::Status BackupParser::TakeEnd(std::string_view text) {
  const json end = json::parse(text, nullptr, false);
  if (!end.is_object() || Number(end, "rows") != rows_ || header_.rows != rows_) {
    return Damaged("rows are missing");
  }
  ended_ = true;
  return common::OkStatus();
}

}  // namespace cp
