#include "control-plane/ctl/jsonl_reader.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "common/limits.h"
#include "common/suggest.h"

namespace ctl {
namespace {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;

// A member of the outermost object, by name.
struct Wanted {
  std::string_view name;
  std::optional<std::string> text = {};
  bool is_nested = false;
  bool is_null = false;
};

// Picks the wanted members while the text is parsed, without building a document.
class Picker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Picker(Wanted& first, Wanted& second) : wanted_{&first, &second} {}

  bool null() override { return Take("", true); }
  bool boolean(bool value) override { return Take(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) override { return Take(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) override { return Take(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return Take(text); }
  bool string(std::string& value) override { return Take(value); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(true); }
  bool start_array(std::size_t) override { return Open(false); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(std::string& name) override {
    if (depth_ != 1) return true;
    for (Wanted* wanted : wanted_) {
      if (wanted->name != name) continue;
      *wanted = {.name = wanted->name, .text = ""};  // the last of equal names counts
    }
    name_ = name;
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception& error) override {
    const std::string_view what = error.what();
    const std::size_t colon = what.find(": ");
    fault_ = fmt::format("not valid JSON at byte {}: {}", at,
                         what.substr(colon == std::string_view::npos ? 0 : colon + 2));
    return false;
  }

  const std::string& fault() const { return fault_; }

 private:
  bool Take(std::string_view text, bool is_null = false) {
    if (depth_ == 0) return NotAnObject();
    if (depth_ > 1) return true;
    for (Wanted* wanted : wanted_) {
      if (!wanted->text || wanted->name != name_) continue;
      wanted->text = text;
      wanted->is_null = is_null;
    }
    return true;
  }
  bool Open(bool is_object) {
    if (depth_ == 0 && !is_object) return NotAnObject();
    if (depth_ == 1) {
      for (Wanted* wanted : wanted_) {
        if (wanted->text && wanted->name == name_) wanted->is_nested = true;
      }
    }
    ++depth_;
    return true;
  }
  bool Close() {
    --depth_;
    return true;
  }
  bool NotAnObject() {
    fault_ = "not a JSON object";
    return false;
  }

  Wanted* const wanted_[2];
  std::size_t depth_ = 0;
  std::string name_;
  std::string fault_;
};

std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

Status CheckWanted(const Wanted& wanted) {
  if (!wanted.text) return InvalidArgument("has no field '{}'", wanted.name);
  if (wanted.is_null) return InvalidArgument("field '{}' is null", wanted.name);
  return OkStatus();
}

}  // namespace

StatusOr<RecordReader::Step> JsonlReader::Next(Record& record) {
  while (true) {
    const std::string_view rest = input_.rest();
    const std::size_t newline = rest.find('\n');
    if (newline == std::string_view::npos && !input_.ended()) {
      if (rest.size() < common::kRecordBytesMax) return Step::kNeedMore;
      return Error(StatusCode::kFailedPrecondition, "a line of more than {} bytes",
                   common::kRecordBytesMax);
    }
    if (rest.empty()) return Step::kEnd;
    line_ = input_.line();
    const std::string_view line = Trim(rest.substr(0, newline));
    const Status status = line.empty() ? OkStatus() : ParseLine(line, record);
    const bool is_blank = line.empty();
    input_.Take(newline == std::string_view::npos ? rest.size() : newline + 1);
    if (is_blank) continue;
    RETURN_IF_ERROR(status);
    return Step::kRecord;
  }
}

Status JsonlReader::ParseLine(std::string_view text, Record& record) const {
  Wanted key{.name = options_.key};
  Wanted value{.name = options_.value};
  Picker picker(key, value);
  if (!nlohmann::json::sax_parse(text, &picker)) {
    return InvalidArgument("{}", common::Printable(picker.fault(), 300));
  }
  RETURN_IF_ERROR(CheckWanted(key));
  if (key.is_nested) return InvalidArgument("field '{}', the key, is not a scalar", key.name);
  record.key = *std::move(key.text);
  if (options_.value.empty()) {
    record.value = text;
    return CheckRecord(record);
  }
  RETURN_IF_ERROR(CheckWanted(value));
  if (value.is_nested) {
    const auto document = nlohmann::ordered_json::parse(text, nullptr, false);
    CHECK(document.is_object());
    record.value = document[options_.value].dump();
  } else {
    record.value = *std::move(value.text);
  }
  return CheckRecord(record);
}

}  // namespace ctl
