#include "agent/cache/disk_reserve.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

namespace agent {
namespace {

class DiskReserveTest : public testing::Test {
 protected:
  DiskReserveTest() {
    std::string dir = testing::TempDir() + "reserve.XXXXXX";
    dir_ = ::mkdtemp(dir.data());
  }
  ~DiskReserveTest() override { std::filesystem::remove_all(dir_); }
  // On disk, not only as a size; 0: there is no file.
  std::size_t HeldBytes() const {
    struct stat stat {};
    return ::stat(path().c_str(), &stat) == 0 ? static_cast<std::size_t>(stat.st_blocks) * 512 : 0;
  }
  std::string path() const { return dir_ + "/reserve"; }

  std::string dir_;
};

TEST_F(DiskReserveTest, HoldsAndReleases) {
  DiskReserve reserve(path(), 256 * 1024);
  EXPECT_FALSE(reserve.Release());
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(reserve.Hold());
    EXPECT_TRUE(reserve.Hold());
    EXPECT_GE(HeldBytes(), 256u * 1024);
    EXPECT_TRUE(reserve.Release());
    EXPECT_EQ(HeldBytes(), 0u);
  }
}

TEST_F(DiskReserveTest, TakesOverWhatAnEarlierProcessHeld) {
  EXPECT_TRUE(DiskReserve(path(), 256 * 1024).Hold());
  DiskReserve reserve(path(), 256 * 1024);
  EXPECT_FALSE(reserve.held());
  EXPECT_TRUE(reserve.Hold());
}

TEST_F(DiskReserveTest, NoRoomIsNoReserve) {
  for (const std::string& where : {dir_ + "/no/such/place", path()}) {
    DiskReserve reserve(where, std::size_t{1} << 60);
    EXPECT_FALSE(reserve.Hold());
    EXPECT_FALSE(reserve.Release());
    EXPECT_EQ(HeldBytes(), 0u) << "nothing is left behind";
  }
}

}  // namespace
}  // namespace agent
