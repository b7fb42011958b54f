#include "agent/server/set_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace agent {
namespace {

using Condition = SetOptions::Condition;

std::optional<std::string> Parse(const std::string& text, SetOptions& out) {
  std::vector<std::string_view> words;
  const std::string_view all = text;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = std::min(all.find(' ', begin), all.size());
    words.push_back(all.substr(begin, end - begin));
    begin = end + 1;
  }
  return ParseSetOptions(words, out);
}

// Whether redis-server 7.0 accepts and refuses the same: tests/e2e/test_writes.py.
TEST(SetOptionsTest, Accepts) {
  const std::vector<std::pair<const char*, SetOptions>> cases = {
      {"", {}},
      {"nx", {.condition = Condition::kIfAbsent}},
      {"XX", {.condition = Condition::kIfPresent}},
      {"NX NX", {.condition = Condition::kIfAbsent}},
      {"GET", {.get = true}},
      {"NX GET", {.condition = Condition::kIfAbsent, .get = true}},
      {"get XX KEEPTTL", {.condition = Condition::kIfPresent, .get = true, .keep_ttl = true}},
      {"KEEPTTL KEEPTTL", {.keep_ttl = true}},
      {"EX 10", {.expires_in_ms = 10'000}},
      {"px 10", {.expires_in_ms = 10}},
      {"exat 10", {.expires_at_ms = 10'000}},
      {"PXAT 10 XX", {.condition = Condition::kIfPresent, .expires_at_ms = 10}},
      {"EX 10 EX 20", {.expires_in_ms = 20'000}},
      {"EX ten EX 20", {.expires_in_ms = 20'000}},
      {"PX 253402300799999", {.expires_in_ms = 253'402'300'799'999}}};
  for (const auto& [text, want] : cases) {
    SetOptions out;
    EXPECT_EQ(Parse(text, out), std::nullopt) << text;
    EXPECT_EQ(out, want) << text;
  }
}

TEST(SetOptionsTest, Refuses) {
  const std::string syntax = "ERR syntax error";
  const std::string integer = "ERR value is not an integer or out of range";
  const std::string expire = "ERR invalid expire time in 'set' command";
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"NX XX", syntax},
      {"XX NX", syntax},
      {"WHAT", syntax},
      {"EX", syntax},
      {"EX 10 PX 10", syntax},
      {"EX 10 KEEPTTL", syntax},
      {"KEEPTTL EX 10", syntax},
      {"EXAT 10 PXAT 10", syntax},
      {"NX EX", syntax},
      {"EX ten WHAT", syntax},
      {"EX ten", integer},
      {"EX 1.5", integer},
      {"EX 010", integer},
      {"EX +10", integer},
      {"EX -0", integer},
      {"EX ", syntax},
      {"EX 99999999999999999999", integer},
      {"EX 0", expire},
      {"PX -1", expire},
      {"EXAT 0", expire},
      {"EX 253402300800", expire},
      {"EX 9223372036854775807", expire},
      {"PXAT 253402300800000", expire}};
  for (const auto& [text, want] : cases) {
    SetOptions out;
    EXPECT_EQ(Parse(text, out), want) << text;
  }
}

TEST(SetOptionsTest, TimesToLiveOfTheirOwnCommands) {
  SetOptions out;
  EXPECT_EQ(ParseTimeToLive("7", 1000, "setex", out), std::nullopt);
  EXPECT_EQ(out, SetOptions{.expires_in_ms = 7'000});
  EXPECT_EQ(ParseTimeToLive("0", 1, "psetex", out), "ERR invalid expire time in 'psetex' command");
}

}  // namespace
}  // namespace agent
