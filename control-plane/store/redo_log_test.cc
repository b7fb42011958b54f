#include "control-plane/store/redo_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <vector>

#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

class RedoLogTest : public ::testing::Test {
 protected:
  RedoLog Open() { return *RedoLog::Open(path_); }
  std::vector<std::string> Records(RedoLog& log, std::uint64_t next) {
    std::vector<std::string> records;
    const auto end = log.Read([&](std::string_view record) {
      records.emplace_back(record);
      return common::OkStatus();
    });
    EXPECT_EQ(*end, next);
    return records;
  }
  std::string Bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  const testing::TestDir dir_;
  const std::string path_ = dir_.path() + "/redo.0";
};

using Strings = std::vector<std::string>;

TEST_F(RedoLogTest, GivesBackWhatWasAppended) {
  const std::string large(700'000, 'x');
  {
    RedoLog log = Open();
    EXPECT_FALSE(log.header());
    ASSERT_TRUE(log.Begin({.number = 4, .oldest = 3, .first_sequence = 10, .image = "im"}).ok());
    for (const std::string& record : Strings{"a", "", large}) ASSERT_TRUE(log.Append(record).ok());
    EXPECT_EQ(log.bytes(), large.size() + 1 + 3 * 12);
  }
  RedoLog log = Open();
  ASSERT_TRUE(log.header());
  EXPECT_EQ(log.header()->number, 4u);
  EXPECT_EQ(log.header()->oldest, 3u);
  EXPECT_EQ(log.header()->image, "im");
  EXPECT_FALSE(log.ended());
  EXPECT_EQ(Records(log, 13), (Strings{"a", "", large}));
  ASSERT_TRUE(log.Append("b").ok());
  RedoLog again = Open();
  EXPECT_EQ(Records(again, 14), (Strings{"a", "", large, "b"}));
}

TEST_F(RedoLogTest, TakesBackTheLastRecordOnly) {
  RedoLog log = Open();
  ASSERT_TRUE(log.Begin({.number = 1, .first_sequence = 1}).ok());
  ASSERT_TRUE(log.Append("a").ok());
  ASSERT_TRUE(log.Append("b").ok());
  ASSERT_TRUE(log.Retract().ok());
  RedoLog after = Open();
  EXPECT_EQ(Records(after, 2), Strings{"a"});
  ASSERT_TRUE(log.Append("c").ok());
  RedoLog again = Open();
  EXPECT_EQ(Records(again, 3), (Strings{"a", "c"}));
}

TEST_F(RedoLogTest, EndsWhereACrashHasCutARecordShort) {
  std::size_t end = 0;
  {
    RedoLog log = Open();
    ASSERT_TRUE(log.Begin({.number = 1, .first_sequence = 1}).ok());
    ASSERT_TRUE(log.Append("first").ok());
    const std::size_t before = log.bytes();
    ASSERT_TRUE(log.Append("second").ok());
    end = Bytes().find("second");
    ASSERT_EQ(log.bytes() - before, 12 + 6u);
  }
  const std::string whole = Bytes();
  for (std::size_t at = end - 12; at < end + 6; ++at) {
    SCOPED_TRACE(at);
    std::string zeros_behind = whole.substr(0, at) + std::string(whole.size() - at, '\0');
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    for (const std::string& bytes : {whole.substr(0, at), zeros_behind, flipped}) {
      Write(bytes);
      RedoLog log = Open();
      EXPECT_EQ(Records(log, 2), Strings{"first"});
      ASSERT_TRUE(log.Append("third").ok());
      EXPECT_EQ(Records(log, 3), (Strings{"first", "third"}));
    }
  }
}

TEST_F(RedoLogTest, RecordsOfTheLogBeforeDoNotCount) {
  RedoLog log = Open();
  ASSERT_TRUE(log.Begin({.number = 1, .first_sequence = 1}).ok());
  for (const char* record : {"a1", "a2", "a3"}) ASSERT_TRUE(log.Append(record).ok());
  ASSERT_TRUE(log.End().ok());
  EXPECT_TRUE(Open().ended());
  ASSERT_TRUE(log.Begin({.number = 4, .first_sequence = 1}).ok());
  ASSERT_TRUE(log.Append("b1").ok());  // as long as a1, which it overwrites: a2 follows
  RedoLog again = Open();
  EXPECT_FALSE(again.ended());
  EXPECT_EQ(Records(again, 2), Strings{"b1"});
}

TEST_F(RedoLogTest, AHeaderThatIsNotWholeIsNoLog) {
  {
    RedoLog log = Open();
    ASSERT_TRUE(log.Begin({.number = 7, .first_sequence = 1, .image = "image"}).ok());
    ASSERT_TRUE(log.Sync().ok());
  }
  const std::string whole = Bytes();
  for (const std::size_t at : {0u, 8u, 16u, 24u, 32u, 40u, 48u, 55u, 4096u, 4100u}) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    Write(flipped);
    EXPECT_FALSE(Open().header()) << at;
  }
  Write(whole);
  EXPECT_TRUE(Open().header());
}

TEST_F(RedoLogTest, GivesBackTheDiskBehindWhatIsNeeded) {
  RedoLog log = Open();
  ASSERT_TRUE(log.Begin({.number = 1, .first_sequence = 1}).ok());
  ASSERT_TRUE(log.Append(std::string(1'000'000, 'x')).ok());
  ASSERT_TRUE(log.Shrink().ok());
  EXPECT_EQ(Records(log, 2).size(), 1u);
  ASSERT_TRUE(log.End().ok());
  ASSERT_TRUE(log.Shrink().ok());
  EXPECT_LT(std::filesystem::file_size(path_), 200'000u);
  ASSERT_TRUE(log.Begin({.number = 2, .first_sequence = 2}).ok());
  ASSERT_TRUE(log.Append("b").ok());
  EXPECT_EQ(Records(log, 3), Strings{"b"});
}

// The limit of a file's size stands for a disk that fills up in the midst of a write.
TEST_F(RedoLogTest, AFullDiskRefusesARecordAndLosesNoSpaceToIt) {
  RedoLog log = Open();
  ASSERT_TRUE(log.Begin({.number = 1, .first_sequence = 1}).ok());
  ASSERT_TRUE(log.Append("a").ok());
  const auto before = std::filesystem::file_size(path_);
  rlimit unlimited{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  const rlimit full{.rlim_cur = before + 100'000, .rlim_max = unlimited.rlim_max};
  const auto ignored = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const common::Status refused = log.Append(std::string(before, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  signal(SIGXFSZ, ignored);
  EXPECT_EQ(refused.code(), common::StatusCode::kResourceExhausted) << refused;
  EXPECT_EQ(std::filesystem::file_size(path_), before);
  ASSERT_TRUE(log.Append("b").ok());
  RedoLog again = Open();
  EXPECT_EQ(Records(again, 3), (Strings{"a", "b"}));
}

TEST(RedoLogFullTest, AFullDiskIsToldByName) {
  auto log = RedoLog::Open("/dev/full");
  EXPECT_FALSE(log.ok());
}

}  // namespace
}  // namespace cp
