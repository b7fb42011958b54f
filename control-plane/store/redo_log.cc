#include "control-plane/store/redo_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/limits.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;

constexpr std::uint64_t kMagic = 0x31676f6c6f646572;  // "redolog1"
constexpr std::uint64_t kEndedAt = 512, kImageAt = 4096;
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kReserveBytes = 256 * common::kKiB;
constexpr std::size_t kRecordHeaderBytes = 12;

// Numbers in the order of the machine: a data directory does not move to another kind of machine.
struct RawHeader {
  std::uint64_t magic, number, oldest, first_sequence, image_bytes, image_check, check;
};

std::uint64_t CheckOfHeader(const RawHeader& header) {
  return XXH3_64bits(&header, offsetof(RawHeader, check));
}

std::uint64_t RecordsAt(std::uint64_t image_bytes) {
  return kImageAt + (image_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

template <typename Value>
std::string_view BytesOf(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

common::StatusOr<RedoLog> RedoLog::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return Error(StatusCode::kPermissionDenied, "open {}: {}", path, common::ErrnoText(errno));
  RedoLog log(fd, path);
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return log.Failed(errno, "look at");
  log.file_bytes_ = static_cast<std::uint64_t>(facts.st_size);
  RETURN_IF_ERROR(log.ReadHeader());
  RETURN_IF_ERROR(log.Reserve(kImageAt + kImageBytesMax));
  return log;
}

RedoLog::~RedoLog() {
  if (fd_ >= 0) ::close(fd_);
}

RedoLog::RedoLog(RedoLog&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      header_(std::move(other.header_)),
      ended_(other.ended_),
      sequence_(other.sequence_),
      records_at_(other.records_at_),
      end_(other.end_),
      last_at_(other.last_at_),
      file_bytes_(other.file_bytes_) {}

common::Status RedoLog::Failed(int code, std::string_view doing) const {
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return Error(full ? StatusCode::kResourceExhausted : StatusCode::kDataLoss, "{} {}: {}", doing,
               path_, common::ErrnoText(code));
}

common::Status RedoLog::ReadHeader() {
  ASSIGN_OR_RETURN(const std::string bytes, ReadAt(0, sizeof(RawHeader)));
  RawHeader raw{};
  if (bytes.size() < sizeof raw) return common::OkStatus();
  std::memcpy(&raw, bytes.data(), sizeof raw);
  if (raw.magic != kMagic || raw.check != CheckOfHeader(raw)) return common::OkStatus();
  if (raw.image_bytes > kImageBytesMax) return common::OkStatus();
  ASSIGN_OR_RETURN(std::string image, ReadAt(kImageAt, raw.image_bytes));
  if (image.size() < raw.image_bytes) return common::OkStatus();
  if (XXH3_64bits(image.data(), image.size()) != raw.image_check) return common::OkStatus();
  ASSIGN_OR_RETURN(const std::string ended, ReadAt(kEndedAt, sizeof raw.number));
  ended_ = ended == BytesOf(raw.number);
  records_at_ = end_ = last_at_ = RecordsAt(image.size());
  sequence_ = raw.first_sequence;
  header_ = {.number = raw.number,
             .oldest = raw.oldest,
             .first_sequence = raw.first_sequence,
             .image = std::move(image)};
  return common::OkStatus();
}

common::StatusOr<std::uint64_t> RedoLog::Read(
    const std::function<common::Status(std::string_view record)>& visit) {
  CHECK(header_);
  end_ = last_at_ = records_at_;
  sequence_ = header_->first_sequence;
  while (true) {
    ASSIGN_OR_RETURN(const std::string head, ReadAt(end_, kRecordHeaderBytes));
    if (head.size() < kRecordHeaderBytes) break;
    std::uint64_t check = 0;
    std::uint32_t length = 0;
    std::memcpy(&check, head.data(), sizeof check);
    std::memcpy(&length, head.data() + sizeof check, sizeof length);
    if (length > file_bytes_ - end_) break;
    ASSIGN_OR_RETURN(const std::string record, ReadAt(end_ + kRecordHeaderBytes, length));
    if (record.size() < length || check != CheckOf(record, sequence_)) break;
    RETURN_IF_ERROR(visit(record));
    last_at_ = end_;
    end_ += kRecordHeaderBytes + length;
    ++sequence_;
  }
  return sequence_;
}

common::Status RedoLog::Begin(Header header) {
  CHECK(header.image.size() <= kImageBytesMax);
  RawHeader raw{.magic = kMagic,
                .number = header.number,
                .oldest = header.oldest,
                .first_sequence = header.first_sequence,
                .image_bytes = header.image.size(),
                .image_check = XXH3_64bits(header.image.data(), header.image.size()),
                .check = 0};
  raw.check = CheckOfHeader(raw);
  RETURN_IF_ERROR(WriteAt(kImageAt, header.image));
  RETURN_IF_ERROR(WriteAt(0, BytesOf(raw)));
  records_at_ = end_ = last_at_ = RecordsAt(header.image.size());
  sequence_ = header.first_sequence;
  ended_ = false;
  header_ = std::move(header);
  return common::OkStatus();
}

common::Status RedoLog::Append(std::string_view record) {
  CHECK(header_ && !ended_);
  CHECK(record.size() <= UINT32_MAX);
  const std::uint64_t check = CheckOf(record, sequence_);
  const auto length = static_cast<std::uint32_t>(record.size());
  std::string head(BytesOf(check));
  head.append(BytesOf(length));
  const std::uint64_t end = end_ + head.size() + record.size();
  RETURN_IF_ERROR(Reserve(end));
  RETURN_IF_ERROR(WriteAt(end_, head));
  RETURN_IF_ERROR(WriteAt(end_ + head.size(), record));
  RETURN_IF_ERROR(Sync());
  last_at_ = std::exchange(end_, end);
  ++sequence_;
  return common::OkStatus();
}

common::Status RedoLog::Retract() {
  CHECK(last_at_ < end_);
  RETURN_IF_ERROR(WriteAt(last_at_, std::string(kRecordHeaderBytes, '\0')));
  RETURN_IF_ERROR(Sync());
  end_ = last_at_;
  --sequence_;
  return common::OkStatus();
}

// After a failure the kernel may have dropped what was to be written: trying again proves nothing.
common::Status RedoLog::Sync() {
  if (::fdatasync(fd_) == 0) return common::OkStatus();
  return Error(StatusCode::kDataLoss, "flush {}: {}", path_, common::ErrnoText(errno));
}

common::Status RedoLog::End() {
  CHECK(header_);
  RETURN_IF_ERROR(WriteAt(kEndedAt, BytesOf(header_->number)));
  RETURN_IF_ERROR(Sync());
  ended_ = true;
  return common::OkStatus();
}

common::Status RedoLog::Shrink() {
  const std::uint64_t live = header_ && !ended_ ? end_ : 0;
  const std::uint64_t bytes = std::max(live, kImageAt + kImageBytesMax);
  if (file_bytes_ <= bytes) return common::OkStatus();
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return Failed(errno, "shrink");
  file_bytes_ = bytes;
  return common::OkStatus();
}

common::Status RedoLog::WriteAt(std::uint64_t at, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Failed(count < 0 ? errno : ENOSPC, "write");
    at += static_cast<std::uint64_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return common::OkStatus();
}

// Shorter at the end of the file.
common::StatusOr<std::string> RedoLog::ReadAt(std::uint64_t at, std::size_t length) const {
  std::string bytes(length, '\0');
  std::size_t have = 0;
  while (have < length) {
    const ssize_t count =
        ::pread(fd_, bytes.data() + have, length - have, static_cast<off_t>(at + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return Error(StatusCode::kDataLoss, "read {}: {}", path_, common::ErrnoText(errno));
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

common::Status RedoLog::Reserve(std::uint64_t end) {
  static const std::string zeros(kReserveBytes, '\0');
  while (file_bytes_ < end) {
    const common::Status written = WriteAt(file_bytes_, zeros);
    if (!written.ok()) {  // what did fit is given back: others may need the last of the disk
      return ::ftruncate(fd_, static_cast<off_t>(file_bytes_)) == 0 ? written
                                                                    : Failed(errno, "shrink");
    }
    file_bytes_ += zeros.size();
  }
  return common::OkStatus();
}

std::uint64_t RedoLog::CheckOf(std::string_view record, std::uint64_t sequence) const {
  const std::array<std::uint64_t, 3> place{header_->number, sequence, record.size()};
  const std::uint64_t seed = XXH3_64bits(place.data(), sizeof place);
  return XXH3_64bits_withSeed(record.data(), record.size(), seed);
}

}  // namespace cp
