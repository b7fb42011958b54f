// Directory: whether an agent may use a data directory, and whether what it holds can be trusted.
//
// Thread: any.  Lifetime: functions over files.
// The file `cache.state` says whose directory it is, under which boot of the kernel it was last
// opened, and whether it was closed cleanly. It lies beside LMDB's data.mdb, not inside: a
// data.mdb that a host crash has torn must not even be opened. One line:
//   tributary-agent-cache format=1 clean=0 boot=<boot id> service=<name>
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/cache/cache.h"

namespace agent {

struct DirectoryState {
  std::uint32_t format = 0;
  bool clean = false;
  std::string boot;
  std::string service;
  friend bool operator==(const DirectoryState&, const DirectoryState&) = default;
};

std::string FormatDirectoryState(const DirectoryState& state);
std::optional<DirectoryState> ParseDirectoryState(std::string_view text);

// Marks the directory as in use; call it with the directory locked and before its data is opened.
// The result says why the data was deleted; empty: it was not. FAILED_PRECONDITION: it belongs to
// something else; the message says what to do.
common::StatusOr<std::string> AdmitDirectory(const CacheOptions& options);
// Deletes the data, for a reason found after AdmitDirectory.
common::Status EmptyDirectory(const std::string& dir);
// REQUIRES: everything has been flushed.
common::Status MarkDirectoryClean(const CacheOptions& options);

// Keeps other processes out of a directory, also while its data file is replaced.
class DirectoryLock {
 public:
  // FAILED_PRECONDITION: another one holds it.
  static common::StatusOr<DirectoryLock> Take(const std::string& dir);
  DirectoryLock() = default;  // of nothing
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace agent
