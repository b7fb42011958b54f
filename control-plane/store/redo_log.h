// RedoLog: a file of records, each durable when Append returns; overwritten from its start every
// time it begins anew, so that its blocks are written in place.
//
// Thread: one owner (the committer).  Lifetime: independent of the data it is about.
// A record counts if its checksum fits its content, its place in the order and the number of the
// log: what a crash cut short, and what an earlier log has left in the file, ends the log.
//   0       header: magic, numbers, checksums          512 bytes
//   512     the number of the log, once it has ended   one sector, written at once
//   4096    the image
//   …       records: checksum u64, length u32, content
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/limits.h"
#include "common/status.h"

namespace cp {

class RedoLog {
 public:
  struct Header {
    std::uint64_t number = 0;          // of this log; they count up
    std::uint64_t oldest = 0;          // the first log whose records may still be needed
    std::uint64_t first_sequence = 0;  // of its first record
    std::string image = {};            // what its records build on; at most kImageBytesMax
  };
  static constexpr std::size_t kImageBytesMax = 128 * common::kKiB;

  // Creates the file if absent, with room for a header. RESOURCE_EXHAUSTED: the disk is full.
  static common::StatusOr<RedoLog> Open(const std::string& path);
  ~RedoLog();
  RedoLog(const RedoLog&) = delete;
  RedoLog(RedoLog&& other) noexcept;
  RedoLog& operator=(const RedoLog&) = delete;
  RedoLog& operator=(RedoLog&&) = delete;

  // Absent: the file holds no log.
  const std::optional<Header>& header() const { return header_; }
  bool ended() const { return ended_; }

  // Visits its records in order and stands behind the last. Returns the sequence that comes next.
  common::StatusOr<std::uint64_t> Read(
      const std::function<common::Status(std::string_view record)>& visit);

  // The errors of those below: RESOURCE_EXHAUSTED, the disk has no room and nothing has changed;
  // DATA_LOSS, it cannot be known what the disk holds.

  // A new log takes the place of the one in the file. Durable with the first Append or Sync.
  common::Status Begin(Header header);
  // `record`: less than 4 GiB.
  common::Status Append(std::string_view record);
  // Takes back the last Append.
  common::Status Retract();
  common::Status Sync();
  // None of its records is needed any more.
  common::Status End();
  // Gives back the disk behind what is needed; the header keeps its room.
  common::Status Shrink();

  std::size_t bytes() const { return end_ - records_at_; }  // of its records

 private:
  RedoLog(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  common::Status ReadHeader();
  common::Status WriteAt(std::uint64_t at, std::string_view bytes) const;
  common::StatusOr<std::string> ReadAt(std::uint64_t at, std::size_t length) const;
  // Writes zeros ahead, so that appending changes nothing of the file but its content.
  common::Status Reserve(std::uint64_t end);
  std::uint64_t CheckOf(std::string_view record, std::uint64_t sequence) const;
  common::Status Failed(int code, std::string_view doing) const;

  int fd_;
  std::string path_;
  std::optional<Header> header_;
  bool ended_ = false;
  std::uint64_t sequence_ = 0;  // of the next record
  std::uint64_t records_at_ = 0, end_ = 0, last_at_ = 0;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace cp
