#include "control-plane/ctl/draft_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace ctl {
namespace {

using common::Error;
using common::Status;
using common::StatusCode;

Status Failed(const std::string& path, const char* what) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT;
  return Error(full ? StatusCode::kResourceExhausted : StatusCode::kInvalidArgument, "{}: {}: {}",
               path, what, std::generic_category().message(code));
}

Status Exists(const std::string& path) {
  return Error(StatusCode::kAlreadyExists,
               "{} exists already: it is not overwritten; choose another name or remove it", path);
}

}  // namespace

common::StatusOr<DraftFile> DraftFile::Create(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) == 0) return Exists(path);
  const std::string draft = path + ".part";
  const int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(draft, "cannot be written");
  return DraftFile(path, fd);
}

DraftFile::DraftFile(DraftFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

DraftFile::~DraftFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(draft().c_str());
}

Status DraftFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(draft(), "cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return common::OkStatus();
}

Status DraftFile::Keep() {
  if (fsync(fd_) != 0) return Failed(draft(), "cannot be flushed");
  if (renameat2(AT_FDCWD, draft().c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    return errno == EEXIST ? Exists(path_) : Failed(path_, "cannot be renamed");
  }
  close(std::exchange(fd_, -1));
  return common::OkStatus();
}

}  // namespace ctl
