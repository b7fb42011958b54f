#include "agent/cache/disk_reserve.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace agent {

bool DiskReserve::Hold() {
  if (held_) return true;
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  held_ = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes_)) == 0;
  ::close(fd);
  if (!held_) ::unlink(path_.c_str());
  return held_;
}

bool DiskReserve::Release() {
  if (!std::exchange(held_, false)) return false;
  return ::unlink(path_.c_str()) == 0;
}

}  // namespace agent
