// ImportSource: a file or standard input as the batches of an import.
//
// Thread: one owner; reading blocks.  Lifetime: `in` outlives it.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "control-plane/ctl/batch_planner.h"
#include "control-plane/ctl/record_reader.h"

namespace ctl {

struct ImportOptions {
  std::string dataset = {};
  std::string path = {};  // "-": standard input
  RecordOptions records = {};
  bool skip_bad = false;
};

class ImportSource {
 public:
  using OnBad = std::function<void(const std::string& fault)>;

  // `on_bad`: called for each record passed over.
  static StatusOr<std::unique_ptr<ImportSource>> Open(const ImportOptions& options,
                                                      std::istream& in, OnBad on_bad);

  struct Next {
    std::optional<tributary::v1::Batch> batch;  // absent: the end
    bool is_last = false;
  };
  // A fault names file and line. Batches of the records before it have been handed out or are lost.
  StatusOr<Next> NextBatch();

  // The same for the same file with the same options; absent: not a file, cannot be resumed.
  const std::optional<std::string>& identity() const { return identity_; }
  std::optional<std::uint64_t> bytes_total() const { return bytes_total_; }
  std::uint64_t bytes_read() const { return bytes_read_; }
  std::uint64_t records_skipped() const { return records_skipped_; }

 private:
  ImportSource(const ImportOptions& options, std::istream& in, OnBad on_bad);

  Status OpenFile();
  StatusOr<std::optional<tributary::v1::Batch>> ReadBatch();
  Status ReadPiece();
  Status OnFault(const Status& fault);

  const ImportOptions options_;
  const OnBad on_bad_;
  std::ifstream file_;
  std::istream* in_;
  std::unique_ptr<RecordReader> reader_;
  BatchPlanner planner_;
  std::string piece_;
  bool ended_ = false;
  std::optional<tributary::v1::Batch> ahead_;  // read, not handed out: is it the last?
  std::optional<std::string> identity_;
  std::optional<std::uint64_t> bytes_total_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t records_skipped_ = 0;
};

}  // namespace ctl
