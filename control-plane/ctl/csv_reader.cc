#include "control-plane/ctl/csv_reader.h"

#include <algorithm>
#include <set>

#include "common/limits.h"
#include "common/names.h"
#include "common/suggest.h"
#include "control-plane/ctl/json_text.h"

namespace ctl {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;

StatusOr<RecordReader::Step> CsvReader::Next(Record& record) {
  ASSIGN_OR_RETURN(Step step, NextRow());
  if (header_.empty() && step == Step::kRecord) {
    RETURN_IF_ERROR(ReadHeader());
    ASSIGN_OR_RETURN(step, NextRow());
  }
  if (step == Step::kEnd && header_.empty()) {
    return Error(StatusCode::kFailedPrecondition, "the file is empty: a header line is needed");
  }
  if (step != Step::kRecord) return step;
  RETURN_IF_ERROR(FillRecord(record));
  return step;
}

StatusOr<RecordReader::Step> CsvReader::NextRow() {
  while (true) {
    if (skipping_ && !SkipRestOfLine()) return input_.ended() ? Step::kEnd : Step::kNeedMore;
    line_ = input_.line();
    ASSIGN_OR_RETURN(const Step step, ParseRow());
    const bool is_blank = step == Step::kRecord && field_count_ == 1 && fields_[0].empty();
    if (!is_blank) return step;
  }
}

StatusOr<RecordReader::Step> CsvReader::ParseRow() {
  const std::string_view text = input_.rest();
  if (text.empty()) return input_.ended() ? Step::kEnd : Step::kNeedMore;
  field_count_ = 0;
  for (std::size_t at = 0;; ++at) {
    if (at >= text.size() && !input_.ended()) return NeedMore();
    std::string& field = NextField();
    const bool quoted = at < text.size() && text[at] == '"';
    ASSIGN_OR_RETURN(const Step step,
                     quoted ? ParseQuoted(text, at, field) : ParsePlain(text, at, field));
    if (step == Step::kNeedMore) return step;
    if (at < text.size() && text[at] == separator_) continue;
    const std::optional<std::size_t> line_end = LineEnd(text, at);
    if (!line_end) return NeedMore();
    if (at < text.size() && *line_end == 0) {
      input_.Take(at);
      skipping_ = true;
      return InvalidArgument("text behind the closing quote of a field: double the quotes inside");
    }
    input_.Take(at + *line_end);
    return Step::kRecord;
  }
}

StatusOr<RecordReader::Step> CsvReader::ParseQuoted(std::string_view text, std::size_t& at,
                                                    std::string& field) {
  std::size_t begin = ++at;
  while (true) {
    const std::size_t quote = text.find('"', begin);
    if (quote == std::string_view::npos || (quote + 1 == text.size() && !input_.ended())) {
      if (!input_.ended()) return NeedMore();
      input_.Take(text.size());
      return InvalidArgument("a quote is opened and never closed");
    }
    field.append(text.substr(begin, quote - begin));
    at = quote + 1;
    if (at == text.size() || text[at] != '"') return Step::kRecord;
    field.push_back('"');
    begin = at + 1;
  }
}

StatusOr<RecordReader::Step> CsvReader::ParsePlain(std::string_view text, std::size_t& at,
                                                   std::string& field) {
  const char stops[] = {separator_, '\n', '"'};
  const std::string_view stop(stops, separator_ == '\t' ? 2 : 3);
  std::size_t end = text.find_first_of(stop, at);
  if (end == std::string_view::npos) {
    if (!input_.ended()) return NeedMore();
    end = text.size();
  } else if (text[end] == '"') {
    input_.Take(end);
    skipping_ = true;
    return InvalidArgument("a quote inside of an unquoted field: put the whole field in quotes");
  }
  const bool ends_line = end == text.size() || text[end] == '\n';
  if (ends_line && end > at && text[end - 1] == '\r') --end;
  field.append(text.substr(at, end - at));
  at = end;
  return Step::kRecord;
}

std::optional<std::size_t> CsvReader::LineEnd(std::string_view text, std::size_t at) const {
  if (at >= text.size()) return 0;
  if (text[at] == '\n') return 1;
  if (text[at] != '\r') return 0;
  if (at + 1 < text.size()) return text[at + 1] == '\n' ? 2 : 0;
  if (input_.ended()) return 1;
  return std::nullopt;
}

StatusOr<RecordReader::Step> CsvReader::NeedMore() const {
  if (input_.rest().size() < common::kRecordBytesMax) return Step::kNeedMore;
  return Error(StatusCode::kFailedPrecondition,
               "a record of more than {} bytes: is a quote not closed?", common::kRecordBytesMax);
}

std::string& CsvReader::NextField() {
  if (field_count_ == fields_.size()) fields_.emplace_back();
  std::string& field = fields_[field_count_++];
  field.clear();
  return field;
}

// False: no line's end is there yet.
bool CsvReader::SkipRestOfLine() {
  const std::size_t newline = input_.rest().find('\n');
  const bool found = newline != std::string_view::npos;
  input_.Take(found ? newline + 1 : input_.rest().size());
  skipping_ = !found;
  return found;
}

Status CsvReader::ReadHeader() {
  header_.assign(fields_.begin(), fields_.begin() + static_cast<std::ptrdiff_t>(field_count_));
  std::set<std::string_view> seen;
  for (const std::string& name : header_) {
    if (!common::IsUtf8(name)) {
      return Error(StatusCode::kFailedPrecondition, "the header line is not UTF-8");
    }
    if (!seen.insert(name).second) {
      return Error(StatusCode::kFailedPrecondition, "the header names field '{}' twice",
                   common::Printable(name));
    }
  }
  ASSIGN_OR_RETURN(key_column_, Column(options_.key));
  if (options_.value.empty()) return OkStatus();
  ASSIGN_OR_RETURN(value_column_, Column(options_.value));
  return OkStatus();
}

StatusOr<std::size_t> CsvReader::Column(const std::string& name) const {
  const auto found = std::ranges::find(header_, name);
  if (found != header_.end()) return static_cast<std::size_t>(found - header_.begin());
  return Error(StatusCode::kFailedPrecondition, "the header has no field '{}'; it has: {}", name,
               common::Printable(fmt::format("{}", fmt::join(header_, ", ")), 400));
}

Status CsvReader::FillRecord(Record& record) const {
  if (field_count_ != header_.size()) {
    return InvalidArgument("has {} fields, the header has {}", field_count_, header_.size());
  }
  record.key = fields_[key_column_];
  record.value.clear();
  if (!options_.value.empty()) {
    record.value = fields_[value_column_];
    return CheckRecord(record);
  }
  for (std::size_t i = 0; i < field_count_; ++i) {
    if (!common::IsUtf8(fields_[i])) {
      return InvalidArgument(
          "field '{}' is not UTF-8, which JSON needs: import one field with "
          "--value",
          header_[i]);
    }
    record.value += i == 0 ? '{' : ',';
    AppendJsonString(header_[i], record.value);
    record.value += ':';
    AppendJsonString(fields_[i], record.value);
  }
  record.value += '}';
  return CheckRecord(record);
}

}  // namespace ctl
