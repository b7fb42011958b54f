// JsonlReader: one JSON object a line.
//
// Thread: one owner.  Lifetime: as RecordReader.
// A field's scalar is taken as its text (a number as it is written), an object or a list as JSON.
#pragma once

#include <string_view>

#include "control-plane/ctl/line_buffer.h"
#include "control-plane/ctl/record_reader.h"

namespace ctl {

class JsonlReader final : public RecordReader {
 public:
  explicit JsonlReader(RecordOptions options) : options_(std::move(options)) {}

  void Feed(std::string_view bytes) override { input_.Feed(bytes); }
  void End() override { input_.End(); }
  StatusOr<Step> Next(Record& record) override;
  std::uint64_t line() const override { return line_; }

 private:
  Status ParseLine(std::string_view text, Record& record) const;

  const RecordOptions options_;
  LineBuffer input_;
  std::uint64_t line_ = 1;
};

}  // namespace ctl
