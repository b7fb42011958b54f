#include "control-plane/ctl/import_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/digest.h"
#include "common/limits.h"

namespace ctl {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;

namespace {

constexpr std::size_t kSampleBytes = 64 * common::kKiB;

std::string ReadAt(std::istream& in, std::uint64_t offset, std::size_t count) {
  std::string bytes(count, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  in.clear();
  return bytes;
}

// What makes two runs the same import: equal files cut into equal batches.
std::string IdentityOf(std::istream& in, const struct stat& file, const ImportOptions& options) {
  const auto size = static_cast<std::uint64_t>(file.st_size);
  const auto modified = static_cast<std::uint64_t>(file.st_mtim.tv_sec) * 1'000'000'000u +
                        static_cast<std::uint64_t>(file.st_mtim.tv_nsec);
  const std::string what =
      fmt::format("{}|{}|{}|{}|{}|{}|{}", options.dataset, static_cast<int>(options.records.format),
                  options.records.key, options.records.value, options.skip_bad,
                  common::kImportBatchEntries, common::kImportBatchBytes);
  std::string sample = ReadAt(in, 0, kSampleBytes);
  sample += ReadAt(in, size - std::min<std::uint64_t>(size, kSampleBytes), kSampleBytes);
  in.seekg(0);
  return "import-" + common::FormatDigest(
                         common::EntryHash(what, {.epoch = size, .revision = modified}, sample));
}

}  // namespace

ImportSource::ImportSource(const ImportOptions& options, std::istream& in, OnBad on_bad)
    : options_(options),
      on_bad_(std::move(on_bad)),
      in_(&in),
      reader_(MakeRecordReader(options.records)),
      planner_(options.dataset, common::kImportBatchEntries, common::kImportBatchBytes) {}

StatusOr<std::unique_ptr<ImportSource>> ImportSource::Open(const ImportOptions& options,
                                                           std::istream& in, OnBad on_bad) {
  std::unique_ptr<ImportSource> source(new ImportSource(options, in, std::move(on_bad)));
  if (options.path != "-") RETURN_IF_ERROR(source->OpenFile());
  ASSIGN_OR_RETURN(source->ahead_, source->ReadBatch());
  return source;
}

Status ImportSource::OpenFile() {
  file_.open(options_.path, std::ios::binary);
  struct stat file {};
  if (!file_ || stat(options_.path.c_str(), &file) != 0) {
    return InvalidArgument("{}: {}", options_.path, std::generic_category().message(errno));
  }
  if (S_ISDIR(file.st_mode)) return InvalidArgument("{} is a folder", options_.path);
  in_ = &file_;
  if (!S_ISREG(file.st_mode)) return OkStatus();  // a pipe: neither size nor a second reading
  bytes_total_ = static_cast<std::uint64_t>(file.st_size);
  identity_ = IdentityOf(file_, file, options_);
  return OkStatus();
}

StatusOr<ImportSource::Next> ImportSource::NextBatch() {
  if (!ahead_) return Next{};
  ASSIGN_OR_RETURN(std::optional<tributary::v1::Batch> next, ReadBatch());
  Next result{.batch = std::exchange(ahead_, std::move(next))};
  result.is_last = !ahead_;
  return result;
}

StatusOr<std::optional<tributary::v1::Batch>> ImportSource::ReadBatch() {
  if (ended_) return std::optional<tributary::v1::Batch>();
  while (true) {
    Record record;
    const StatusOr<RecordReader::Step> step = reader_->Next(record);
    if (!step.ok()) {
      RETURN_IF_ERROR(OnFault(step.status()));
    } else if (*step == RecordReader::Step::kNeedMore) {
      RETURN_IF_ERROR(ReadPiece());
    } else if (*step == RecordReader::Step::kEnd) {
      ended_ = true;
      return planner_.Finish();
    } else if (std::optional<tributary::v1::Batch> full = planner_.Add(std::move(record))) {
      return full;
    }
  }
}

Status ImportSource::ReadPiece() {
  piece_.resize(common::kImportPieceBytes);
  in_->read(piece_.data(), static_cast<std::streamsize>(piece_.size()));
  const auto count = static_cast<std::size_t>(in_->gcount());
  if (in_->bad()) return Error(StatusCode::kDataLoss, "{}: cannot be read", options_.path);
  if (count == 0) {
    reader_->End();
    return OkStatus();
  }
  bytes_read_ += count;
  reader_->Feed(std::string_view(piece_).substr(0, count));
  return OkStatus();
}

Status ImportSource::OnFault(const Status& fault) {
  const std::string text =
      fmt::format("{}:{}: {}", options_.path == "-" ? "<stdin>" : options_.path, reader_->line(),
                  common::Message(fault));
  if (!options_.skip_bad || fault.code() != StatusCode::kInvalidArgument) {
    return Error(fault.code(), "{}", text);
  }
  ++records_skipped_;
  on_bad_(text);
  return OkStatus();
}

}  // namespace ctl
