// Statuses and texts across gRPC: the codes are the same numbers on both sides.
//
// Thread: any.  Lifetime: values.
#pragma once

#include <grpcpp/support/status.h>
#include <grpcpp/support/string_ref.h>

#include <string_view>

#include "common/status.h"

namespace common {

// Messages longer than kStatusMessageBytesMax are cut: they travel in an HTTP/2 header.
inline constexpr std::size_t kStatusMessageBytesMax = 4096;

grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);
// From a google.rpc.Code that came over the wire; unknown codes become UNKNOWN.
Status StatusOfCode(int code, const std::string& message);

inline std::string_view ToView(const grpc::string_ref& text) { return {text.data(), text.size()}; }

}  // namespace common
