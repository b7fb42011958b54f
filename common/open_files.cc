#include "common/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace common {

std::uint64_t RaiseOpenFiles(std::uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  rlimit raised = limit;
  raised.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

void RaiseOpenFiles(std::uint64_t wanted, std::uint64_t enough, std::string_view what, Log& log) {
  const std::uint64_t allowed = RaiseOpenFiles(wanted);
  if (allowed >= enough) return;
  log.Warn("few open files are allowed: connections beyond them will be refused",
           {{"what", what},
            {"allowed", allowed},
            {"wanted", enough},
            {"cure", "raise the hard limit: ulimit -Hn, LimitNOFILE=, or the container's nofile"}});
}

}  // namespace common
