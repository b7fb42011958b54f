#include "agent/server/command_batch.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "agent/cache/cache_fixture.h"

namespace agent {
namespace {

class CommandBatchTest : public testing::Test {
 protected:
  // Every result for `bytes`, handled in batches; "GET|a", "over" or "closed".
  std::vector<std::string> All(std::string_view bytes) {
    std::vector<std::string> out;
    for (bool more = true; more && (out.empty() || out.back() != "closed");) {
      batch_.Fill(bytes, parser_, table_);
      for (const CommandBatch::Item& item : batch_.items()) out.push_back(Text(item));
      bytes.remove_prefix(batch_.consumed());
      more = !batch_.needs_more();
    }
    left_ = bytes;
    return out;
  }
  std::string Text(const CommandBatch::Item& item) {
    if (item.result == RespParser::Result::kOverLimit) return "over";
    if (item.result == RespParser::Result::kProtocolError) return "closed";
    std::string text;
    for (const std::string_view arg : batch_.ArgsOf(item)) {
      text.append(text.empty() ? "" : "|").append(arg);
    }
    return text;
  }

  CommandTable table_;
  RespParser parser_;
  CommandBatch batch_;
  std::string left_;
};

TEST_F(CommandBatchTest, KeysOfCommandsThatReadOneAreListed) {
  const std::string bytes =
      "*2\r\n$3\r\nGET\r\n$3\r\nd/a\r\n*3\r\n$4\r\nMGET\r\n$3\r\nd/b\r\n$3\r\nd/c\r\n"
      "*2\r\n$6\r\nstrlen\r\n$3\r\nd/"
      "e\r\n*1\r\n$3\r\nGET\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nNOPE\r\n*2";
  batch_.Fill(bytes, parser_, table_);
  ASSERT_EQ(batch_.items().size(), 6u);
  EXPECT_TRUE(batch_.needs_more());
  EXPECT_EQ(batch_.consumed(), bytes.size() - 2);
  EXPECT_EQ(std::vector<std::string_view>(batch_.lone_keys().begin(), batch_.lone_keys().end()),
            (std::vector<std::string_view>{"d/a", "d/e"}));
  EXPECT_EQ(batch_.items()[1].spec->name, "MGET");
  EXPECT_EQ(batch_.items()[2].spec->name, "STRLEN");
  EXPECT_EQ(batch_.items()[5].spec, nullptr);
}

TEST_F(CommandBatchTest, InlineCommandsAndErrorsEndABatch) {
  EXPECT_EQ(All("GET a\nGET \"b c\"\r\n*1\r\n$4\r\nPING\r\nGET d\r\n"),
            (std::vector<std::string>{"GET|a", "GET|b c", "PING", "GET|d"}));
  EXPECT_EQ(left_, "");
  EXPECT_EQ(All("*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n"),
            (std::vector<std::string>{"PING", "closed"}));
}

// Goal: whatever is parsed ahead and not handled is parsed again, to the same end.
TEST_F(CommandBatchTest, StoppedAnywhereAndResumedGivesTheSame) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    std::vector<std::string> want;
    for (std::uint64_t i = random() % 200; i > 0; --i) {
      const std::string key(random() % 30, 'k');
      want.push_back(random() % 9 == 0 ? "PING" : "GET|" + key);
      bytes += want.back() == "PING"
                   ? "PING\r\n"
                   : fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", key.size(), key);
    }
    std::vector<std::string> got;
    std::string kept;
    std::size_t fed = 0;
    while (fed < bytes.size() || !kept.empty()) {
      const std::size_t piece = std::min<std::size_t>(random() % 200, bytes.size() - fed);
      kept.append(bytes, fed, piece);
      fed += piece;
      batch_.Fill(kept, parser_, table_);
      std::size_t done = 0;
      const bool stops = random() % 2 == 0;
      std::size_t allowed = stops ? random() % 10 : SIZE_MAX;
      for (const CommandBatch::Item& item : batch_.items()) {
        if (allowed-- == 0) break;
        got.push_back(Text(item));
        done = item.end;
      }
      const bool all = batch_.items().empty() || done == batch_.items().back().end;
      if (!all) parser_.Reset();
      kept.erase(0, all ? batch_.consumed() : done);
    }
    ASSERT_EQ(got, want);
  }
}

}  // namespace
}  // namespace agent
