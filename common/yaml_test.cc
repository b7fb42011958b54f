#include "common/yaml.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "common/limits.h"

namespace common {
namespace {

TEST(YamlTest, KnowsTheLineOfKeysAndValues) {
  const YamlText yaml = ParseYaml("a: 1\n\n# note\nb:\n  - x\n  - {c: 'y'}\n---\nz: |\n  text\n");
  ASSERT_TRUE(yaml.faults.empty());
  ASSERT_EQ(yaml.documents.size(), 2u);
  const YamlNode& first = yaml.documents[0];
  ASSERT_EQ(first.members.size(), 2u);
  EXPECT_EQ(first.members[0].line, 1);
  EXPECT_EQ(first.members[1].line, 4);
  EXPECT_EQ(first.members[1].value.items[0].line, 5);
  EXPECT_EQ(first.members[1].value.items[1].members[0].line, 6);
  EXPECT_TRUE(first.members[1].value.items[1].members[0].value.quoted);
  EXPECT_EQ(yaml.documents[1].members[0].line, 8);
  EXPECT_EQ(yaml.documents[1].members[0].value.text, "text\n");
}

TEST(YamlTest, TellsTextFromNumbersAndTruthValues) {
  const struct {
    const char* text;
    bool looks_like_non_text;
  } kCases[] = {
      {"12", true},     {"-1", true},    {"+1", true},      {"1.5", true},       {".5", true},
      {"1e3", true},    {"1.e-3", true}, {"0x1F", true},    {"0o17", true},      {"true", true},
      {"No", true},     {"OFF", true},   {".inf", true},    {"eu-", false},      {"1-2", false},
      {"1.2.3", false}, {"5s", false},   {"'12'", false},   {"\"no\"", false},   {"e3", false},
      {"1e", false},    {"-", false},    {"truest", false}, {"!!str 12", false}, {".", false},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.text);
    const YamlText yaml = ParseYaml(std::string("v: ") + c.text);
    if (std::string_view(c.text) == "-") continue;  // a list, not a scalar
    ASSERT_TRUE(yaml.faults.empty()) << yaml.faults[0].message;
    EXPECT_EQ(yaml.documents[0].members[0].value.LooksLikeNonText(), c.looks_like_non_text);
  }
}

TEST(YamlTest, RefusesWhatItWillNotCarry) {
  std::string deep(kYamlDepthMax + 1, '[');
  std::string wide = "[";
  for (std::size_t i = 0; i < kYamlNodesMax; ++i) wide += "a,";
  const struct {
    std::string text;
    int line;
    const char* message;
  } kCases[] = {
      {"a: &x 1\nb: *x\n", 2, "aliases (*name) are not supported: write the value out"},
      {"a: !thing 1\n", 1, "tag '!thing' is not supported: leave it out"},
      {"? [a]\n: b\n", 1, "a field name must be text"},
      {"a: 1\nb: \x04\n", 2, "control byte 0x04 is not allowed: write it as \"\\x04\" in quotes"},
      {"a: 1\nb: \xff\n", 2, "not UTF-8: save the text as UTF-8"},
      {deep, 1, "nested deeper than 32 levels"},
      {wide, 1, "more than 500000 values: split the text"},
      {std::string(kYamlBytesMax + 1, ' '), 1,
       "8388609 bytes, at most 8388608 are allowed: split the text"},
      {"a: 1\nb: [1\n", 3, "not valid YAML: end of sequence flow not found"},
      {"a: 1\n---\n,\n", 3, "not valid YAML: stray character"},
      {",", 1, "not valid YAML: stray character"},
      {"a: 1\n b: 2\n", 2, "not valid YAML: illegal map value"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.message);
    const YamlText yaml = ParseYaml(c.text);
    ASSERT_EQ(yaml.faults.size(), 1u);
    EXPECT_EQ(yaml.faults[0].message, c.message);
    EXPECT_EQ(yaml.faults[0].line, c.line);
  }
}

TEST(YamlTest, DocumentsBeforeAFaultAreKept) {
  const YamlText yaml = ParseYaml("a: 1\n---\n[\n");
  EXPECT_EQ(yaml.documents.size(), 1u);
  EXPECT_EQ(yaml.faults.size(), 1u);
}

TEST(YamlTest, JsonIsRead) {
  const YamlText yaml = ParseYaml("{\n\t\"a\": \"\\u00e9\\n\\/\",\n\t\"b\": [1, null, true]\n}\n");
  ASSERT_TRUE(yaml.faults.empty()) << yaml.faults[0].message;
  EXPECT_EQ(yaml.documents[0].members[0].value.text, "\xc3\xa9\n/");
  EXPECT_EQ(yaml.documents[0].members[1].value.items.size(), 3u);
  EXPECT_EQ(yaml.documents[0].members[1].value.items[1].kind, YamlNode::Kind::kNull);
}

// Goal: no input crashes or throws; TRIBUTARY_SEED repeats a run.
TEST(YamlTest, AnyBytesAreAnAnswer) {
  const char* given = std::getenv("TRIBUTARY_SEED");
  const auto seed = given ? std::stoull(given) : std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  constexpr std::string_view kAlphabet = "ab:-[]{},\n \t'\"#&*!|>%@`?~0.\\\xc3\xa9";
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 40, ' ');
    for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
    const YamlText yaml = ParseYaml(text);
    for (const YamlFault& fault : yaml.faults) EXPECT_GE(fault.line, 1);
  }
}

}  // namespace
}  // namespace common
