// The pure printers: tables, progress, YAML, JSON members.
#include <gtest/gtest.h>

#include "common/declarations.h"
#include "control-plane/ctl/json_text.h"
#include "control-plane/ctl/objects.h"
#include "control-plane/ctl/progress.h"
#include "control-plane/ctl/table.h"

namespace ctl {
namespace {

using std::chrono::milliseconds;

TEST(TableTest, AlignsAsKubectl) {
  Table table({"NAME", "OWNER", "N"});
  EXPECT_EQ(table.Print(), "NAME   OWNER   N\n");
  table.Add({"orders.shop", "", "1"});
  table.Add({"\xC3\xA9t\xC3\xA9", "a\nb", "22"});
  EXPECT_EQ(table.Print(),
            "NAME          OWNER    N\n"
            "orders.shop   -        1\n"
            "\xC3\xA9t\xC3\xA9           a\\x0ab   22\n");
}

TEST(ProgressTest, Numbers) {
  EXPECT_EQ(WithThousands(0), "0");
  EXPECT_EQ(WithThousands(999), "999");
  EXPECT_EQ(WithThousands(1000), "1,000");
  EXPECT_EQ(WithThousands(1234567), "1,234,567");
  const struct {
    std::int64_t ms;
    const char* text;
  } kCases[] = {{-5, "0.0s"},         {0, "0.0s"},           {349, "0.3s"},     {9'940, "9.9s"},
                {9'960, "10s"},       {59'400, "59s"},       {59'600, "1m00s"}, {185'000, "3m05s"},
                {8'040'000, "2h14m"}, {273'600'000, "3d04h"}};
  for (const auto& c : kCases) EXPECT_EQ(ShortDuration(milliseconds(c.ms)), c.text) << c.ms;
}

TEST(ProgressTest, Lines) {
  Progress progress{.records = 420'000, .batches = 420, .elapsed = milliseconds(8'000)};
  EXPECT_EQ(ProgressLine(progress, 80), "420,000 records, 52,500/s");
  progress.bytes_done = 42;
  progress.bytes_total = 100;
  EXPECT_EQ(ProgressLine(progress, 80),
            " 42% [########            ] 420,000 records, 52,500/s, ETA 11s");
  EXPECT_EQ(ProgressLine(progress, 10).size(), 10u);
  EXPECT_EQ(SummaryLine(progress),
            "imported 420,000 records in 420 batches in 8.0 s (52,500 records/s)");
  progress.records_skipped = 3;
  EXPECT_TRUE(SummaryLine(progress).ends_with(", 3 bad records skipped"));
}

TEST(YamlOutTest, IsReappliable) {
  const common::Declaration objects[] = {
      common::Dataset{.name = "a.b", .owner = "no", .consumers = {"*", "*.x", "1"}},
      common::Dataset{.name = "e", .owner = "f"},
      common::Subscription{.name = "s",
                           .service = "x",
                           .collection = {.dataset = "d", .prefix = "eu: \"\n\xC3\xA9-"},
                           .consistency = {common::ConsistencyLevel::kBounded, milliseconds(250),
                                           common::OnStale::kError}}};
  std::vector<Json> json;
  for (const auto& object : objects) {
    json.push_back(Json::parse(common::ToJson(object)));
    json.back()["status"] = {{"entries", 5}};
  }
  const std::string yaml = ToYamlDocuments(json);
  const auto parsed = common::ParseDeclarations(yaml, "out");
  ASSERT_TRUE(parsed.ok()) << parsed.status() << yaml;
  ASSERT_EQ(parsed->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE((*parsed)[i] == objects[i]) << yaml;
  EXPECT_EQ(yaml.find("status"), std::string::npos);
}

TEST(YamlOutTest, NestsAndQuotes) {
  EXPECT_EQ(ToYaml(Json::parse(R"([{"a":1,"b":[true,{"c":"1"}]},[],{},"-x"])")),
            "- a: 1\n  b:\n    - true\n    - c: \"1\"\n- []\n- {}\n- \"-x\"\n");
}

TEST(JsonTextTest, EscapesAndEncodes) {
  std::string out;
  AppendBytesMember("k", "a\"\\\n\x01\x7F\xC3\xA9", out);
  EXPECT_EQ(out, "\"k\":\"a\\\"\\\\\\n\\u0001\\u007f\xC3\xA9\"");
  EXPECT_EQ(Json::parse("{" + out + "}")["k"], "a\"\\\n\x01\x7F\xC3\xA9");
  out.clear();
  AppendBytesMember("k", std::string("\xFF\x00", 2), out);
  EXPECT_EQ(out, "\"k_base64\":\"/wA=\"");
}

}  // namespace
}  // namespace ctl
