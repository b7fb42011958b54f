#include "agent/server/socket_path.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace agent {
namespace {

constexpr std::size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;

// Whether a process accepts connections at `path`.
common::StatusOr<bool> SomebodyListens(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return common::Error(common::StatusCode::kUnavailable, "cannot make a socket: {}",
                         common::ErrnoText(errno));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, kPathBytesMax);
  const int code = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(fd);
  if (code == 0 || error == EAGAIN) return true;  // EAGAIN: its backlog is full
  if (error == ECONNREFUSED || error == ENOENT) return false;
  return common::Error(common::StatusCode::kFailedPrecondition, "cannot try the socket {}: {}",
                       path, common::ErrnoText(error));
}

}  // namespace

common::Status PrepareSocketPath(const std::string& path) {
  if (path.empty() || path.size() > kPathBytesMax) {
    return common::InvalidArgument(
        "socket path of {} bytes: {}; a Unix socket's path has 1 to {} bytes, choose a shorter one",
        path.size(), path, kPathBytesMax);
  }
  std::error_code error;
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) {
    return common::InvalidArgument("cannot make the socket's directory {}: {}", parent.string(),
                                   error.message());
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return common::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return common::InvalidArgument(
        "{} exists and is not a socket; remove it or choose another socket path", path);
  }
  ASSIGN_OR_RETURN(const bool listens, SomebodyListens(path));
  if (listens) {
    return common::Error(common::StatusCode::kFailedPrecondition,
                         "another process listens on {}; stop it or choose another socket path",
                         path);
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return common::Error(common::StatusCode::kFailedPrecondition,
                         "cannot remove the stale socket {}: {}", path, common::ErrnoText(errno));
  }
  return common::OkStatus();
}

}  // namespace agent
