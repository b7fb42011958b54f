#include "control-plane/stream/delta_stream.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace cp {
namespace {

TEST(ToByteBufferTest, SharesBigPiecesAndKeepsTheirOrder) {
  const auto big = std::make_shared<const std::string>(100'000, 'b');
  const auto small = std::make_shared<const std::string>("small");
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(ToByteBuffer({.pieces = {big, small}}).Dump(&slices).ok());
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(reinterpret_cast<const char*>(slices[0].begin()), big->data());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(slices[1].begin()), slices[1].size()),
            "small");
  EXPECT_EQ(big.use_count(), 2);
  slices.clear();
  EXPECT_EQ(big.use_count(), 1);
}

}  // namespace
}  // namespace cp
