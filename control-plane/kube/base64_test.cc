#include "control-plane/kube/base64.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace cp {
namespace {

TEST(Base64Test, EncodesAsTheRfcDoesAndBack) {
  for (const auto& [bytes, text] : {std::pair<std::string, std::string>{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"},
                                    {std::string("\0\xff\x10", 3), "AP8Q"}}) {
    EXPECT_EQ(Base64Encode(bytes), text);
    EXPECT_EQ(Base64Decode(text), bytes);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Z===", "====", "Zm9v\n", "Zm-_", "Zh==", "Zg==Zg=="}) {
    EXPECT_EQ(Base64Decode(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace cp
