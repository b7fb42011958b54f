#include "agent/cache/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "agent/cache/layout.h"

namespace agent {
namespace {

using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;

constexpr std::string_view kMagic = "tributary-agent-cache";

std::string StatePath(const std::string& dir) { return dir + "/cache.state"; }
std::string DataPath(const std::string& dir) { return dir + "/data.mdb"; }

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Never empty: without a boot id no two boots may look the same.
std::string ReadBootId(const std::string& path) {
  std::string boot = ReadText(path);
  while (!boot.empty() && (boot.back() == '\n' || boot.back() == ' ')) boot.pop_back();
  return boot.empty() ? common::FormatEpoch(common::NewEpoch()) : boot;
}

// Takes the text up to the next space, if it begins with `name`.
std::optional<std::string_view> TakeField(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  const std::size_t end = text.find(' ');
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return value;
}

Status FailedFile(std::string_view doing, const std::string& path, int code) {
  return common::lmdb::ToStatus(code, fmt::format("{} {}", doing, path));
}

Status SyncDirectory(const std::string& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FailedFile("open", dir, errno);
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return FailedFile("sync", dir, code);
}

// In place, so that a full disk does not keep an agent from starting: the length of the line
// depends on the service only.
Status WriteState(const std::string& dir, const DirectoryState& state) {
  const std::string path = StatePath(dir);
  const std::string text = FormatDirectoryState(state);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FailedFile("open", path, errno);
  int code = 0;
  const ssize_t written = ::pwrite(fd, text.data(), text.size(), 0);
  if (written < 0) code = errno;
  if (written >= 0 && static_cast<std::size_t>(written) < text.size()) code = ENOSPC;
  if (code == 0 && ::ftruncate(fd, static_cast<off_t>(text.size())) != 0) code = errno;
  if (code == 0 && ::fdatasync(fd) != 0) code = errno;
  ::close(fd);
  return FailedFile("write", path, code);
}

Status Foreign(const std::string& dir, std::string_view what) {
  return Error(StatusCode::kFailedPrecondition,
               "data directory {} {}; choose another --data-dir, or delete it", dir, what);
}

// What `cache.state` says, if there is data that it can speak of.
StatusOr<std::optional<DirectoryState>> ReadState(const CacheOptions& options) {
  const std::string text = ReadText(StatePath(options.dir));
  std::error_code ignored;
  const bool has_data = std::filesystem::exists(DataPath(options.dir), ignored);
  if (text.empty() && !has_data) return std::optional<DirectoryState>();
  std::optional<DirectoryState> state = ParseDirectoryState(text);
  if (!state) return Foreign(options.dir, "holds data that is not an agent's cache");
  if (state->format > kCacheFormat) {
    return Foreign(options.dir, fmt::format("has cache format {}, this agent knows up to {}: start "
                                            "an agent at least as new as the one that wrote it",
                                            state->format, kCacheFormat));
  }
  if (state->service != options.service) {
    return Foreign(options.dir, fmt::format("is the cache of service '{}', not of '{}'",
                                            state->service, options.service));
  }
  return has_data ? state : std::optional<DirectoryState>();
}

}  // namespace

std::string FormatDirectoryState(const DirectoryState& state) {
  return fmt::format("{} format={} clean={} boot={} service={}\n", kMagic, state.format,
                     state.clean ? 1 : 0, state.boot, state.service);
}

std::optional<DirectoryState> ParseDirectoryState(std::string_view text) {
  if (!text.ends_with('\n')) return std::nullopt;
  text.remove_suffix(1);
  if (TakeField(text, kMagic) != "") return std::nullopt;
  const std::optional<std::string_view> format = TakeField(text, "format=");
  const std::optional<std::string_view> clean = TakeField(text, "clean=");
  const std::optional<std::string_view> boot = TakeField(text, "boot=");
  const std::optional<std::string_view> service = TakeField(text, "service=");
  if (!format || !clean || !boot || !service || !text.empty()) return std::nullopt;
  if ((*clean != "0" && *clean != "1") || boot->empty()) return std::nullopt;
  DirectoryState state{
      .clean = *clean == "1", .boot = std::string(*boot), .service = std::string(*service)};
  const auto [end, error] =
      std::from_chars(format->data(), format->data() + format->size(), state.format);
  if (error != std::errc() || end != format->data() + format->size()) return std::nullopt;
  if (state.format == 0) return std::nullopt;
  return state;
}

StatusOr<std::string> AdmitDirectory(const CacheOptions& options) {
  ASSIGN_OR_RETURN(const std::optional<DirectoryState> state, ReadState(options));
  const std::string boot = ReadBootId(options.boot_id_path);
  std::string emptied_because;
  if (state && !state->clean && state->boot != boot) {
    emptied_because = "the host has restarted without the agent being stopped";
    RETURN_IF_ERROR(EmptyDirectory(options.dir));
  }
  RETURN_IF_ERROR(WriteState(
      options.dir,
      {.format = kCacheFormat, .clean = false, .boot = boot, .service = options.service}));
  RETURN_IF_ERROR(SyncDirectory(options.dir));
  return emptied_because;
}

Status EmptyDirectory(const std::string& dir) {
  for (const std::string& path : {DataPath(dir), dir + "/lock.mdb"}) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailedFile("delete", path, errno);
  }
  return SyncDirectory(dir);
}

Status MarkDirectoryClean(const CacheOptions& options) {
  return WriteState(options.dir, {.format = kCacheFormat,
                                  .clean = true,
                                  .boot = ReadBootId(options.boot_id_path),
                                  .service = options.service});
}

StatusOr<DirectoryLock> DirectoryLock::Take(const std::string& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FailedFile("open", dir, errno);
  DirectoryLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  return Error(StatusCode::kFailedPrecondition,
               "data directory {} is in use by another process; choose another --data-dir", dir);
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace agent
