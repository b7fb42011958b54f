#include "common/packed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/entry.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/wire.h"

namespace common {
namespace {

using ::testing::HasSubstr;

std::string Fields(std::size_t entries) {
  std::string out;
  for (std::size_t i = 0; i < entries; ++i) {
    AppendResourceField(EntryName("d", fmt::format("key{}", i)), fmt::format("e.{}", i), kEntryType,
                        fmt::format("value {}", i * i), out);
  }
  return out;
}

TEST(PackedTest, ComesBackInPlaceAndIsSmaller) {
  const std::string fields = Fields(1000);
  const auto packed = Pack(fields);
  ASSERT_TRUE(packed.has_value());
  EXPECT_LT(packed->size(), fields.size() / 3);
  std::string rest = "\x0a\x01x";  // a field behind it
  const auto unpacked = Unpack(*packed + rest);
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_EQ(**unpacked, fields + rest);
}

TEST(PackedTest, WhatGainsNothingIsLeftAlone) {
  EXPECT_FALSE(Pack("").has_value());
  EXPECT_FALSE(Pack(std::string(kPackBytesMin - 1, 'x')).has_value());
  std::string noise;
  for (std::uint32_t x = 1; noise.size() < 20'000; x = x * 1664525 + 1013904223) {
    noise.push_back(static_cast<char>(x >> 24));
  }
  EXPECT_FALSE(Pack(noise).has_value());
}

TEST(PackedTest, OtherResponsesAreNotPacked) {
  for (const std::string& bytes : {std::string(), Fields(3), std::string("\xff\xff garbage")}) {
    const auto unpacked = Unpack(bytes);
    ASSERT_TRUE(unpacked.ok());
    EXPECT_EQ(*unpacked, nullptr);
  }
}

std::string Field(std::uint64_t size, std::string_view deflated) {
  std::string packed;
  AppendVarintField(1, size, packed);
  AppendBytesField(2, deflated, packed);
  std::string out;
  AppendBytesField(1001, packed, out);
  return out;
}

TEST(PackedTest, FaultyOnesAreRefusedByName) {
  const std::string good = *Pack(Fields(1000));
  WireReader outer(good);
  ASSERT_TRUE(outer.Next());
  std::uint64_t size = 0;
  std::string deflated;
  for (WireReader in(outer.bytes()); in.Next();) {
    if (in.is_varint()) size = in.varint();
    if (in.is_bytes()) deflated = in.bytes();
  }
  ASSERT_TRUE(Unpack(Field(size, deflated)).ok());
  std::string flipped = deflated;
  flipped[flipped.size() / 2] ^= 1;
  std::string malformed;
  AppendBytesField(1001, "\x0a\xff", malformed);
  struct Case {
    const char* what;
    std::string bytes;
    const char* says;
  };
  for (const Case& c : {
           Case{"says less", Field(size - 1, deflated), "inflate"},
           Case{"says more", Field(size + 1, deflated), "inflate"},
           Case{"says nothing", Field(0, deflated), "inflate"},
           Case{"too big", Field(kResponseBytesMax + 1, deflated), "at most"},
           Case{"cut", Field(size, deflated.substr(0, deflated.size() - 1)), "inflate"},
           Case{"a bit flipped", Field(size, flipped), "inflate"},
           Case{"empty", Field(size, ""), "inflate"},
           Case{"malformed", malformed, "malformed"},
       }) {
    SCOPED_TRACE(c.what);
    const auto unpacked = Unpack(c.bytes);
    ASSERT_FALSE(unpacked.ok());
    EXPECT_THAT(std::string(Message(unpacked.status())), HasSubstr(c.says));
  }
}

}  // namespace
}  // namespace common
