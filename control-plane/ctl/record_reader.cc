#include "control-plane/ctl/record_reader.h"

#include <array>

#include "common/limits.h"
#include "common/names.h"
#include "control-plane/ctl/csv_reader.h"
#include "control-plane/ctl/jsonl_reader.h"

namespace ctl {

using common::InvalidArgument;

std::unique_ptr<RecordReader> MakeRecordReader(const RecordOptions& options) {
  if (options.format == RecordFormat::kJsonl) return std::make_unique<JsonlReader>(options);
  return std::make_unique<CsvReader>(options);
}

StatusOr<RecordFormat> FormatOfFile(std::string_view path) {
  static constexpr std::array<std::pair<std::string_view, RecordFormat>, 6> kEndings = {
      {{".csv", RecordFormat::kCsv},
       {".tsv", RecordFormat::kTsv},
       {".tab", RecordFormat::kTsv},
       {".jsonl", RecordFormat::kJsonl},
       {".ndjson", RecordFormat::kJsonl},
       {".json", RecordFormat::kJsonl}}};
  if (path.ends_with(".txt")) path.remove_suffix(4);
  for (const auto& [ending, format] : kEndings) {
    if (path.ends_with(ending)) return format;
  }
  return InvalidArgument(
      "cannot tell the format from the name '{}': give --format jsonl, csv or "
      "tsv",
      path);
}

Status CheckRecord(const Record& record) {
  RETURN_IF_ERROR(common::ValidateKey(record.key));
  if (record.value.size() <= common::kValueBytesMax) return common::OkStatus();
  return InvalidArgument("value has {} bytes, at most {} are allowed", record.value.size(),
                         common::kValueBytesMax);
}

}  // namespace ctl
