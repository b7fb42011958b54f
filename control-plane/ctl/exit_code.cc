#include "control-plane/ctl/exit_code.h"

namespace ctl {

int ExitCodeOf(const common::Status& status) {
  switch (status.code()) {
    case common::StatusCode::kOk:
      return kExitOk;
    case common::StatusCode::kUnavailable:
    case common::StatusCode::kDeadlineExceeded:
      return kExitUnavailable;
    case common::StatusCode::kPermissionDenied:
    case common::StatusCode::kUnauthenticated:
      return kExitNoPermission;
    default:
      return kExitFailed;
  }
}

}  // namespace ctl
