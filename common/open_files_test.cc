#include "common/open_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

namespace common {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Each test runs with a soft limit of 64; the hard limit is the machine's.
class OpenFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    ASSERT_GE(before_.rlim_max, 256u);
    SetSoft(64);
  }
  void TearDown() override { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

  void SetSoft(rlim_t soft) const {
    const rlimit limit{.rlim_cur = soft, .rlim_max = before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  static rlim_t Soft() {
    rlimit now{};
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
    return now.rlim_cur;
  }

  rlimit before_{};
  std::string logged_;
  Log log_{LogLevel::kInfo, LogFormat::kText,
           [this](std::string_view line) { logged_ += std::string(line) + "\n"; }};
};

TEST_F(OpenFilesTest, RaisesTheSoftLimit) {
  RaiseOpenFiles(200, 200, "clients", log_);
  EXPECT_EQ(Soft(), 200u);
  EXPECT_EQ(logged_, "");
}

TEST_F(OpenFilesTest, NeverLowersIt) {
  SetSoft(256);
  EXPECT_EQ(RaiseOpenFiles(200), 256u);
  EXPECT_EQ(Soft(), 256u);
}

TEST_F(OpenFilesTest, GoesAsFarAsAllowedAndSaysThatItIsTooLittle) {
  const std::uint64_t max = before_.rlim_max;
  RaiseOpenFiles(max + 2, max, "clients", log_);
  EXPECT_EQ(Soft(), max);
  EXPECT_EQ(logged_, "");  // less than wanted, but enough
  RaiseOpenFiles(max + 2, max + 1, "clients", log_);
  EXPECT_THAT(logged_, AllOf(HasSubstr("few open files"), HasSubstr("what=clients"),
                             HasSubstr(std::to_string(max + 1)), HasSubstr("LimitNOFILE")));
}

}  // namespace
}  // namespace common
