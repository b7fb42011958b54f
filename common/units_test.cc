#include "common/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace common {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(UnitsTest, DurationsAreReadAndPrintedBack) {
  struct Case {
    const char* text;
    std::int64_t ms;
    const char* printed;
  };
  for (const Case& c :
       {Case{"0", 0, "0s"}, Case{"0s", 0, "0s"}, Case{"250ms", 250, "250ms"},
        Case{"1s", 1000, "1s"}, Case{"1.5s", 1500, "1s500ms"}, Case{"0.001s", 1, "1ms"},
        Case{"90s", 90'000, "1m30s"}, Case{"1h30m", 5'400'000, "1h30m"},
        Case{"24h", 86'400'000, "24h"}, Case{"2d", 172'800'000, "48h"},
        Case{"1d2h3m4s5ms", 93'784'005, "26h3m4s5ms"},
        Case{"10000d", 864'000'000'000, "240000h"}}) {
    SCOPED_TRACE(c.text);
    const auto parsed = ParseDuration(c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->count(), c.ms);
    EXPECT_EQ(FormatDuration(*parsed), c.printed);
    EXPECT_EQ(*ParseDuration(c.printed), *parsed);
  }
}

TEST(UnitsTest, BadDurationsAreRefused) {
  for (const char* text : {"",     " ",    "1",      "s",         "-1s",
                           "+1s",  "1 s",  "1s ",    "1x",        "1S",
                           "1.s",  ".5s",  "1..5s",  "0.5ms",     "0.0001s",
                           "1s1s", "1s1m", "10001d", "10000d1ms", "99999999999999999999s",
                           "0x1s", "1e3s", "1s,",    "ms"}) {
    SCOPED_TRACE(text);
    const auto parsed = ParseDuration(text);
    ASSERT_FALSE(parsed.ok()) << parsed->count();
    EXPECT_THAT(std::string(Message(parsed.status())), HasSubstr("250ms"));
  }
}

TEST(UnitsTest, SizesAreReadAndPrintedBack) {
  struct Case {
    const char* text;
    std::uint64_t bytes;
    const char* printed;
  };
  for (const Case& c :
       {Case{"0", 0, "0B"}, Case{"1000", 1000, "1000B"}, Case{"7B", 7, "7B"},
        Case{"512KiB", 512 << 10, "512KiB"}, Case{"1.5MiB", 3 << 19, "1536KiB"},
        Case{"64GiB", 64ULL << 30, "64GiB"}, Case{"10MB", 10'000'000, "10000000B"},
        Case{"1024KiB", 1 << 20, "1MiB"}, Case{"1TB", 1'000'000'000'000, "976562500KiB"},
        Case{"2TiB", 2ULL << 40, "2TiB"}, Case{"4096", 4096, "4KiB"}}) {
    SCOPED_TRACE(c.text);
    const auto parsed = ParseSize(c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, c.bytes);
    EXPECT_EQ(FormatSize(*parsed), c.printed);
    EXPECT_EQ(*ParseSize(FormatSize(*parsed)), *parsed);
  }
}

TEST(UnitsTest, BadSizesAreRefused) {
  for (const char* text : {"", "GiB", "-1", "1 GiB", "1gib", "1Gi", "1G", "0.3B", "0.1KiB", "1.B",
                           "99999999999999999999", "16777216TiB", "1KiB1B"}) {
    SCOPED_TRACE(text);
    const auto parsed = ParseSize(text);
    ASSERT_FALSE(parsed.ok()) << *parsed;
    EXPECT_THAT(std::string(Message(parsed.status())), HasSubstr("64GiB"));
  }
}

TEST(UnitsTest, Modes) {
  EXPECT_EQ(*ParseMode("0660"), 0660u);
  EXPECT_EQ(*ParseMode("660"), 0660u);
  EXPECT_EQ(*ParseMode("0"), 0u);
  EXPECT_EQ(*ParseMode("777"), 0777u);
  EXPECT_EQ(FormatMode(0660), "0660");
  EXPECT_EQ(FormatMode(0), "0000");
  for (const char* text : {"", "0888", "01777", "rw-", "-1", "0660 ", "0x1"}) {
    EXPECT_FALSE(ParseMode(text).ok()) << text;
  }
}

TEST(UnitsTest, TruthValuesAndNumbers) {
  for (const char* text : {"true", "True", "yes", "ON", "1"}) EXPECT_TRUE(*ParseBool(text)) << text;
  for (const char* text : {"false", "No", "off", "0"}) EXPECT_FALSE(*ParseBool(text)) << text;
  for (const char* text : {"", "2", "t", "truee", " true"}) {
    EXPECT_FALSE(ParseBool(text).ok()) << text;
  }
  EXPECT_EQ(*ParseUnsigned("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "-1", "+1", "1.0", "18446744073709551616", "1 "}) {
    EXPECT_FALSE(ParseUnsigned(text).ok()) << text;
  }
}

}  // namespace
}  // namespace common
