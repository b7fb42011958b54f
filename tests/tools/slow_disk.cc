// slow_disk: preloaded into a program (LD_PRELOAD), makes its writes to data.mdb wait.
//   SLOW_DISK_MS     so long before each write
//   SLOW_DISK_GATE   as long as this file exists
// What is not written yet is not committed: LMDB writes pages and meta by pwrite and pwritev.
#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool IsData(int fd) {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, path, sizeof(path) - 1);
  if (size < 8) return false;
  return std::memcmp(path + size - 8, "data.mdb", 8) == 0;
}

void Wait(int fd) {
  static const char* const gate = std::getenv("SLOW_DISK_GATE");
  static const char* const millis = std::getenv("SLOW_DISK_MS");
  if (!IsData(fd)) return;
  if (millis != nullptr) ::usleep(static_cast<useconds_t>(std::atoi(millis)) * 1000);
  while (gate != nullptr && ::access(gate, F_OK) == 0) ::usleep(2000);
}

template <class Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  static const auto next = Next<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  Wait(fd);
  return next(fd, data, size, offset);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto next = Next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  Wait(fd);
  return next(fd, data, size, offset);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t offset) {
  static const auto next = Next<ssize_t (*)(int, const struct iovec*, int, off64_t)>("pwritev64");
  Wait(fd);
  return next(fd, parts, count, offset);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  static const auto next = Next<ssize_t (*)(int, const struct iovec*, int, off_t)>("pwritev");
  Wait(fd);
  return next(fd, parts, count, offset);
}

}  // extern "C"
