#include "common/rpc/status.h"

#include <utility>

namespace common {

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.raw_code()),
          std::string(Message(status).substr(0, kStatusMessageBytesMax))};
}

Status StatusOfCode(int code, const std::string& message) {
  if (code == 0) return OkStatus();
  constexpr int kLast = static_cast<int>(StatusCode::kUnauthenticated);
  const bool known = code > 0 && code <= kLast;
  return Status(known ? static_cast<StatusCode>(code) : StatusCode::kUnknown, message);
}

Status FromGrpc(const grpc::Status& status) {
  return StatusOfCode(static_cast<int>(status.error_code()), status.error_message());
}

}  // namespace common
