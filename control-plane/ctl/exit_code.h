// Exit codes of tributaryctl.
//
// Thread: any.  Lifetime: constants and a pure function.
#pragma once

#include "common/config.h"
#include "common/status.h"

namespace ctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // refused, not found, a bad file, or not in this release
inline constexpr int kExitUsage = common::kExitUsage;  // 64
inline constexpr int kExitUnavailable = 69;            // the control plane cannot be reached
inline constexpr int kExitNoPermission = 77;

int ExitCodeOf(const common::Status& status);

}  // namespace ctl
