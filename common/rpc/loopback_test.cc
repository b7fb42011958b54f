#include "common/rpc/loopback.h"

#include <gtest/gtest.h>

namespace common {
namespace {

TEST(LoopbackTest, Table) {
  for (const char* address : {"127.0.0.1:1", "127.255.0.9:18000", "localhost:0", "[::1]:5",
                              "unix:/tmp/x.sock", "unix:x"}) {
    EXPECT_TRUE(IsLoopbackAddress(address)) << address;
  }
  for (const char* address :
       {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "127.0.0.1", "127.0.0.1.example.com:1",
        "localhost.example.com:1", "example.com:1", "", ":1", "127.1:1"}) {
    EXPECT_FALSE(IsLoopbackAddress(address)) << address;
  }
}

}  // namespace
}  // namespace common
