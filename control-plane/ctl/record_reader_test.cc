// Goal: records are what the format says, every fault is named by its line, and how the bytes were
// cut makes no difference.
#include "control-plane/ctl/record_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/limits.h"

namespace ctl {
namespace {

// One line per record ("key=value") or fault ("line N: …"), as they come; a fatal fault ends it.
std::vector<std::string> ReadAll(const RecordOptions& options, std::string_view text,
                                 std::size_t piece) {
  const std::unique_ptr<RecordReader> reader = MakeRecordReader(options);
  std::vector<std::string> lines;
  Record record;
  while (lines.size() < 100'000) {
    const StatusOr<RecordReader::Step> step = reader->Next(record);
    if (!step.ok()) {
      lines.push_back(fmt::format("line {}: {}", reader->line(), common::Message(step.status())));
      if (step.status().code() == common::StatusCode::kFailedPrecondition) return lines;
    } else if (*step == RecordReader::Step::kEnd) {
      return lines;
    } else if (*step == RecordReader::Step::kRecord) {
      lines.push_back(record.key + "=" + record.value);
    } else if (text.empty()) {
      reader->End();
    } else {
      reader->Feed(text.substr(0, piece));
      text.remove_prefix(std::min(piece, text.size()));
    }
  }
  ADD_FAILURE() << "the reader does not end";
  return lines;
}

struct Case {
  RecordFormat format;
  const char* value;  // --value
  std::string text;
  std::vector<std::string> want;
};

const std::string kNoKey = "line 1: the header has no field 'k'; it has: a, b";

const Case kRecordCases[] = {
    // --- CSV
    {RecordFormat::kCsv, "v", "k,v\na,1\nb,2\n", {"a=1", "b=2"}},
    {RecordFormat::kCsv, "v", "k,v\r\na,1\r\nb,2", {"a=1", "b=2"}},
    {RecordFormat::kCsv, "v", "v,x,k\n1,,a\n", {"a=1"}},
    {RecordFormat::kCsv, "v", "\xEF\xBB\xBFk,v\na,1\n", {"a=1"}},
    {RecordFormat::kCsv, "v", "k,v\n\na,1\n\n\r\nb,2\n\n", {"a=1", "b=2"}},
    {RecordFormat::kCsv,
     "v",
     "k,v\n\"a,\"\"x\"\"\",\"two\r\nlines\n\"\nb,\"\"\n",
     {"a,\"x\"=two\r\nlines\n", "b="}},
    {RecordFormat::kCsv, "v", "k,v\na,\n", {"a="}},
    {RecordFormat::kCsv, "v", "k,v\na,", {"a="}},
    {RecordFormat::kCsv, "v", "k,v\na,\"1\"", {"a=1"}},
    {RecordFormat::kCsv, "v", "k,v\na,\"1\"\r", {"a=1"}},
    {RecordFormat::kCsv, "v", "k,v\na,x\ry\n", {"a=x\ry"}},
    {RecordFormat::kCsv, "v", "k,v\na,\xFF\xFE\n", {"a=\xFF\xFE"}},
    {RecordFormat::kCsv,
     "",
     "k,n\na,\"q\"\"\n\xC3\xA9\"\n",
     {"a={\"k\":\"a\",\"n\":\"q\\\"\\n\xC3\xA9\"}"}},
    {RecordFormat::kCsv, "v", "", {"line 1: the file is empty: a header line is needed"}},
    {RecordFormat::kCsv, "v", "a,b\n1,2\n", {kNoKey}},
    {RecordFormat::kCsv, "v", "k,v,k\n", {"line 1: the header names field 'k' twice"}},
    {RecordFormat::kCsv,
     "v",
     "k,v\na\nb,2\nc,3,4\nd,5\n",
     {"line 2: has 1 fields, the header has 2", "b=2", "line 4: has 3 fields, the header has 2",
      "d=5"}},
    {RecordFormat::kCsv,
     "v",
     "k,v\na,x\"y\nb,2\n",
     {"line 2: a quote inside of an unquoted field: put the whole field in quotes", "b=2"}},
    {RecordFormat::kCsv,
     "v",
     "k,v\na,\"x\"y,z\nb,2\n",
     {"line 2: text behind the closing quote of a field: double the quotes inside", "b=2"}},
    {RecordFormat::kCsv,
     "v",
     "k,v\na,1\nb,\"2\nc,3\n",
     {"a=1", "line 3: a quote is opened and never closed"}},
    {RecordFormat::kCsv, "v", "k,v\n,1\nb,2\n", {"line 2: key is empty", "b=2"}},
    {RecordFormat::kCsv,
     "",
     "k,v\na,\xFF\n",
     {"line 2: field 'v' is not UTF-8, which JSON needs: import one field with --value"}},
    // --- TSV
    {RecordFormat::kTsv, "v", "k\tv\na\tx, y\nb\t\"q\tq\"\n", {"a=x, y", "b=q\tq"}},
    {RecordFormat::kTsv, "v", "k\tv\na\t5\" disk\n", {"a=5\" disk"}},
    // --- JSON lines
    {RecordFormat::kJsonl,
     "v",
     "{\"k\":\"a\",\"v\":\"\\u00e9\"}\n{\"v\":2,\"k\":\"b\"}",
     {"a=\xC3\xA9", "b=2"}},
    {RecordFormat::kJsonl, "v", "\n  {\"k\":1,\"v\":true} \r\n\n", {"1=true"}},
    {RecordFormat::kJsonl, "v", "{\"k\":-7,\"v\":1.50e3}\n", {"-7=1.50e3"}},
    {RecordFormat::kJsonl,
     "v",
     "{\"k\":123456789012345678901,\"v\":0}\n",
     {"123456789012345678901=0"}},
    {RecordFormat::kJsonl,
     "v",
     "{\"k\":\"a\",\"v\":{\"b\":[1, \"x\"]}}\n",
     {"a={\"b\":[1,\"x\"]}"}},
    {RecordFormat::kJsonl, "v", "{\"x\":{\"k\":\"no\",\"v\":1},\"k\":\"a\",\"v\":\"\"}\n", {"a="}},
    {RecordFormat::kJsonl, "v", "{\"k\":\"a\",\"v\":1,\"v\":2}\n", {"a=2"}},
    {RecordFormat::kJsonl, "", "{\"k\":\"a\", \"n\" : [ ] }\n", {"a={\"k\":\"a\", \"n\" : [ ] }"}},
    {RecordFormat::kJsonl, "v", "", {}},
    {RecordFormat::kJsonl,
     "v",
     "{\"v\":1}\n{\"k\":\"b\",\"v\":2}\n",
     {"line 1: has no field 'k'", "b=2"}},
    {RecordFormat::kJsonl, "v", "{\"k\":\"a\"}\n", {"line 1: has no field 'v'"}},
    {RecordFormat::kJsonl, "v", "{\"k\":null,\"v\":1}\n", {"line 1: field 'k' is null"}},
    {RecordFormat::kJsonl,
     "v",
     "{\"k\":[1],\"v\":1}\n",
     {"line 1: field 'k', the key, is not a scalar"}},
    {RecordFormat::kJsonl,
     "v",
     "[1]\n7\n\"x\"\n{\"k\":\"a\",\"v\":1}\n",
     {"line 1: not a JSON object", "line 2: not a JSON object", "line 3: not a JSON object",
      "a=1"}},
};

TEST(RecordReaderTest, EverySplitGivesTheSame) {
  for (const Case& c : kRecordCases) {
    SCOPED_TRACE(c.text);
    const RecordOptions options{.format = c.format, .key = "k", .value = c.value};
    for (const std::size_t piece : {1, 2, 3, 5, 7, 1000}) {
      EXPECT_EQ(ReadAll(options, c.text, piece), c.want) << piece;
    }
  }
}

TEST(RecordReaderTest, BrokenJsonIsNamed) {
  for (const char* text : {"{\"k\":\n", "{", "{\"k\" 1}", "nul", "{\"k\":\"\xFF\"}", "{} {}"}) {
    const auto lines = ReadAll({.key = "k", .value = "v"}, text, 1000);
    ASSERT_EQ(lines.size(), 1u) << text;
    EXPECT_TRUE(lines[0].starts_with("line 1: not valid JSON at byte ")) << lines[0];
  }
}

TEST(RecordReaderTest, DeepNestingIsNoDanger) {
  const std::string deep = "{\"k\":\"a\",\"v\":" + std::string(100'000, '[') + "\n";
  EXPECT_EQ(ReadAll({.key = "k", .value = "x"}, deep, 65536).size(), 1u);
}

TEST(RecordReaderTest, LimitsHold) {
  const std::string key(common::kKeyBytesMax + 1, 'k');
  const std::string value(common::kValueBytesMax + 1, 'v');
  const auto lines = ReadAll({.format = RecordFormat::kCsv, .key = "k", .value = "v"},
                             "k,v\n" + key + ",1\nb," + value + "\nc,3\n", 65536);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].starts_with("line 2: key")) << lines[0];
  EXPECT_EQ(lines[1], "line 3: value has 1048577 bytes, at most 1048576 are allowed");
  EXPECT_EQ(lines[2], "c=3");
  const std::string endless = "k,v\na,\"" + std::string(common::kRecordBytesMax + 1, 'x');
  const auto stopped =
      ReadAll({.format = RecordFormat::kCsv, .key = "k", .value = "v"}, endless, 65536);
  ASSERT_EQ(stopped.size(), 1u);
  EXPECT_NE(stopped[0].find("is a quote not closed?"), std::string::npos);
}

TEST(RecordReaderTest, FormatByEnding) {
  EXPECT_EQ(*FormatOfFile("x/a.csv"), RecordFormat::kCsv);
  EXPECT_EQ(*FormatOfFile("a.tsv.txt"), RecordFormat::kTsv);
  EXPECT_EQ(*FormatOfFile("a.ndjson"), RecordFormat::kJsonl);
  EXPECT_FALSE(FormatOfFile("a.parquet").ok());
  EXPECT_FALSE(FormatOfFile("csv").ok());
}

}  // namespace
}  // namespace ctl
