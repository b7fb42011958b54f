#include "common/rpc/status.h"

#include <gtest/gtest.h>

namespace common {
namespace {

TEST(RpcStatusTest, EveryCodeSurvivesTheWayThereAndBack) {
  for (int code = 0; code <= 16; ++code) {
    const Status status = StatusOfCode(code, "why");
    EXPECT_EQ(static_cast<int>(status.code()), code);
    EXPECT_EQ(static_cast<int>(ToGrpc(status).error_code()), code);
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
  EXPECT_EQ(StatusOfCode(17, "x").code(), StatusCode::kUnknown);
  EXPECT_EQ(StatusOfCode(-1, "x").code(), StatusCode::kUnknown);
}

TEST(RpcStatusTest, LongMessagesAreCut) {
  const Status status(StatusCode::kInternal, std::string(1 << 20, 'x'));
  EXPECT_EQ(ToGrpc(status).error_message().size(), kStatusMessageBytesMax);
}

}  // namespace
}  // namespace common
