// CsvReader: RFC 4180 with a header line; quoted fields may hold separators, quotes and newlines.
//
// Thread: one owner.  Lifetime: as RecordReader.
// Tab-separated files are read alike, but a quote inside of an unquoted field is then a byte like
// any other. Lines end with LF or CRLF. Empty lines are passed over.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "control-plane/ctl/line_buffer.h"
#include "control-plane/ctl/record_reader.h"

namespace ctl {

class CsvReader final : public RecordReader {
 public:
  explicit CsvReader(RecordOptions options)
      : options_(std::move(options)),
        separator_(options_.format == RecordFormat::kTsv ? '\t' : ',') {}

  void Feed(std::string_view bytes) override { input_.Feed(bytes); }
  void End() override { input_.End(); }
  StatusOr<Step> Next(Record& record) override;
  std::uint64_t line() const override { return line_; }

 private:
  // Fills fields_ with the next row that is not empty.
  StatusOr<Step> NextRow();
  StatusOr<Step> ParseRow();
  // Each moves `at` behind the field, onto a separator, a line's end or the end of what is there.
  // kNeedMore: the field goes on behind it.
  StatusOr<Step> ParseQuoted(std::string_view text, std::size_t& at, std::string& field);
  StatusOr<Step> ParsePlain(std::string_view text, std::size_t& at, std::string& field);
  // Length of the line's end at `at`: 0, 1 or 2; absent: cannot be told yet.
  std::optional<std::size_t> LineEnd(std::string_view text, std::size_t at) const;
  StatusOr<Step> NeedMore() const;
  Status ReadHeader();
  StatusOr<std::size_t> Column(const std::string& name) const;
  Status FillRecord(Record& record) const;
  std::string& NextField();
  bool SkipRestOfLine();

  const RecordOptions options_;
  const char separator_;
  LineBuffer input_;
  std::uint64_t line_ = 1;
  bool skipping_ = false;  // the rest of a line with a fault
  std::vector<std::string> fields_;
  std::size_t field_count_ = 0;  // fields_ in use; the others keep their memory
  std::vector<std::string> header_;
  std::size_t key_column_ = 0;
  std::size_t value_column_ = 0;
};

}  // namespace ctl
