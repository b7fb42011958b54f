#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace common {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

class FakeClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return 0; }
  MonotonicTime now{};
};

struct Lines {
  std::vector<std::string> lines;
  std::function<void(std::string_view)> Writer() {
    return [this](std::string_view line) { lines.emplace_back(line); };
  }
};

TEST(LogTest, TextQuotesWhatWouldBeAmbiguous) {
  Lines out;
  Log log(LogLevel::kInfo, LogFormat::kText, out.Writer());
  log.Info("stream opened", {{"peer", "10.0.0.1:5"}, {"count", 3}, {"ok", true}, {"ratio", 0.5}});
  log.Warn("odd", {{"a", ""}, {"b", "x y"}, {"c", "q\"q"}, {"d", "l\nl"}, {"e", "k=v"}});
  log.Error("broken", {{"error", InvalidArgument("no {}", "way")}});
  ASSERT_EQ(out.lines.size(), 3u);
  EXPECT_THAT(out.lines[0], MatchesRegex("20[0-9-]+T[0-9:.]+Z info +stream opened .*"));
  EXPECT_THAT(out.lines[0], EndsWith("stream opened peer=10.0.0.1:5 count=3 ok=true ratio=0.5"));
  EXPECT_THAT(out.lines[1], EndsWith(R"(odd a="" b="x y" c="q\"q" d="l\nl" e="k=v")"));
  EXPECT_THAT(out.lines[2], EndsWith(R"(error="no way")"));
}

TEST(LogTest, JsonIsOneValidObjectALineWhateverTheBytes) {
  Lines out;
  Log log(LogLevel::kDebug, LogFormat::kJson, out.Writer());
  const std::string bytes("\xff\x00\"\\\n%v{}", 9);
  log.Debug("an \"event\"", {{"bytes", bytes}, {"n", -5}, {"big", UINT64_MAX}, {"yes", false}});
  ASSERT_EQ(out.lines.size(), 1u);
  const auto json = nlohmann::json::parse(out.lines[0], nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << out.lines[0];
  EXPECT_EQ(json["event"], "an \"event\"");
  EXPECT_EQ(json["level"], "debug");
  EXPECT_EQ(json["n"], -5);
  EXPECT_EQ(json["big"], UINT64_MAX);
  EXPECT_EQ(json["yes"], false);
  EXPECT_THAT(json["bytes"].get<std::string>(), HasSubstr("%v{}"));
  EXPECT_TRUE(json["time"].is_string());
}

TEST(LogTest, LevelFiltersAndChangesAtRunTime) {
  Lines out;
  Log log(LogLevel::kWarn, LogFormat::kText, out.Writer());
  log.Info("no");
  EXPECT_THAT(out.lines, IsEmpty());
  log.set_level(LogLevel::kDebug);
  log.Debug("yes");
  EXPECT_THAT(out.lines, ElementsAre(EndsWith(" yes")));
  log.set_level(LogLevel::kOff);
  log.Error("no");
  EXPECT_EQ(out.lines.size(), 1u);
}

TEST(LogTest, LimiterHoldsBackAndCounts) {
  Lines out;
  FakeClock clock;
  Log log(LogLevel::kInfo, LogFormat::kText, out.Writer());
  LogLimiter limiter(clock, std::chrono::seconds(10));
  for (int i = 0; i < 4; ++i) log.Warn(limiter, "again", {{"i", i}});
  EXPECT_THAT(out.lines, ElementsAre(EndsWith("again i=0")));
  clock.now += std::chrono::seconds(10);
  log.Warn(limiter, "again", {{"i", 9}});
  EXPECT_THAT(out.lines.back(), EndsWith("again i=9 held_back=3"));
}

TEST(LogTest, NamesOfLevelsAndFormats) {
  for (const std::string& name : LogLevelNames()) {
    EXPECT_EQ(LogLevelName(*ParseLogLevel(name)), name);
  }
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_THAT(std::string(Message(ParseLogLevel("loud").status())),
              HasSubstr("debug, info, warn, error, off"));
  EXPECT_FALSE(ParseLogFormat("").ok());
}

}  // namespace
}  // namespace common
