// Status vocabulary: absl::Status for expected failures, CHECK for our own bugs.
//
// Thread: any.  Lifetime: values.
// Debian's absl has its own string_view, so text crosses by std::string or fmt; never pass
// std::string_view to absl directly.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace common {

using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

inline Status OkStatus() { return absl::OkStatus(); }

// A status with a formatted message: Error(StatusCode::kNotFound, "no dataset {}", name).
template <class... Args>
Status Error(StatusCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
Status InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return Error(StatusCode::kInvalidArgument, format, std::forward<Args>(args)...);
}

// The message as std::string_view; valid while `status` lives.
inline std::string_view Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

// The same status with `prefix: ` before its message. OK stays OK.
inline Status Annotate(const Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  return Status(status.code(), fmt::format("{}: {}", prefix, Message(status)));
}

// What the system says of an errno; on any thread, which strerror must not.
inline std::string ErrnoText(int code) { return std::generic_category().message(code); }

[[noreturn]] inline void CheckFailed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what);
  std::abort();
}

}  // namespace common

// Programmer errors; on in every build.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::common::CheckFailed(#condition, __FILE__, __LINE__))

#define TRIBUTARY_CONCAT_INNER(a, b) a##b
#define TRIBUTARY_CONCAT(a, b) TRIBUTARY_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (::absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(TRIBUTARY_CONCAT(status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                              \
  if (!holder.ok()) return holder.status();                \
  target = std::move(holder).value()
