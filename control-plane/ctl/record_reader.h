// RecordReader: a file to import, as records of key and value.
//
// Thread: one owner.  Lifetime: value-like; the views of nobody.
// Pure: bytes are fed in pieces of any size, records are taken out; how the bytes were cut makes no
// difference. Memory is bounded by the longest record allowed and one piece.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/status.h"

namespace ctl {

using common::Status;
using common::StatusOr;

enum class RecordFormat { kCsv, kTsv, kJsonl };

struct RecordOptions {
  RecordFormat format = RecordFormat::kJsonl;
  std::string key = {};    // name of the field that holds the key
  std::string value = {};  // name of the field that holds the value; empty: the record as JSON
};

struct Record {
  std::string key;
  std::string value;
};

class RecordReader {
 public:
  enum class Step { kRecord, kNeedMore, kEnd };

  RecordReader() = default;
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;
  virtual ~RecordReader() = default;

  virtual void Feed(std::string_view bytes) = 0;
  virtual void End() = 0;  // no more bytes will come
  // INVALID_ARGUMENT: a bad record, which line() names; the next call goes on behind it.
  // FAILED_PRECONDITION: the file cannot be read at all.
  virtual StatusOr<Step> Next(Record& record) = 0;
  // Where the last record, or the last fault, begins; from 1.
  virtual std::uint64_t line() const = 0;
};

std::unique_ptr<RecordReader> MakeRecordReader(const RecordOptions& options);

// From the name's ending, a further ".txt" not looked at: .csv .tsv .tab .jsonl .ndjson .json.
// INVALID_ARGUMENT: none of them.
StatusOr<RecordFormat> FormatOfFile(std::string_view path);

// What any record must satisfy, whatever the dataset: key length, value size.
Status CheckRecord(const Record& record);

}  // namespace ctl
