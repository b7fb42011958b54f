// What was erased leaves the disk: a raw search of all files finds nothing, and nothing else is
// lost by it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "agent/cache/cache_fixture.h"

namespace agent {
namespace {

using common::Collection;

class CacheErasureTest : public CacheFixture {
 protected:
  inline static const Collection kSecret{.dataset = "secret", .prefix = ""};
  inline static const Collection kKept{.dataset = "kept", .prefix = ""};

  // Small and large values, changed many times, so that their bytes have strayed.
  void LoadBoth() {
    Changes kept;
    kept.Put("k", At(1), "stays");
    LoadCopy(kKept, kept, 1);
    Changes secret;
    for (int i = 0; i < 500; ++i) secret.Put(Key(i), At(1), Value(i, i % 7 == 0 ? 3000 : 20));
    LoadCopy(kSecret, secret, 1);
    for (int round = 2; round < 12; ++round) {
      Changes changes;
      for (int i = round; i < 500; i += round) {
        changes.Put(Key(i), At(static_cast<common::Revision>(round)), Value(i, 20 + round * 37));
      }
      ASSERT_EQ(
          writer_->Apply(kSecret, changes.Views(), At(static_cast<common::Revision>(round))),
          common::OkStatus());
      Changes other;
      other.Put("n", At(static_cast<common::Revision>(round)), std::string(100, 'n'));
      ASSERT_EQ(writer_->Apply(kKept, other.Views(), At(static_cast<common::Revision>(round))),
                common::OkStatus());
    }
  }
  static std::string Key(int i) { return fmt::format("KEY-{:05}", i); }
  static std::string Value(int i, int size) {
    std::string value = fmt::format("SECRET-{}-", i);
    while (value.size() < static_cast<std::size_t>(size)) value += "SECRET-";
    return value;
  }
  bool OnDisk(const std::string& bytes) const {
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string all{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      if (all.find(bytes) != std::string::npos) return true;
    }
    return false;
  }
  void ExpectGone() {
    EXPECT_FALSE(OnDisk("SECRET-"));
    EXPECT_FALSE(OnDisk("KEY-"));
  }
};

TEST_F(CacheErasureTest, NothingIsLeftOfARemovedCopy) {
  LoadBoth();
  ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
  EXPECT_TRUE(OnDisk("SECRET-")) << "LMDB does not overwrite what it frees: else this test is moot";
  EXPECT_TRUE(writer_->erasure_pending());
  ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
  ExpectGone();
  EXPECT_FALSE(writer_->erasure_pending());
  // Nor comes it back with what is written next, from buffers that LMDB uses again.
  for (common::Revision revision = 20; revision < 40; ++revision) {
    Changes changes;
    for (int i = 0; i < 300; ++i) changes.Put(fmt::format("x{}", i), At(revision), "1");
    ASSERT_EQ(writer_->Apply(kKept, changes.Views(), At(revision)), common::OkStatus());
  }
  ExpectGone();
  EXPECT_EQ(Get("kept", "k"), "stays");
  EXPECT_EQ(Get("secret", Key(0)), "<not subscribed>");
  Reopen();
  EXPECT_EQ(Get("kept", "k"), "stays");
  EXPECT_FALSE(writer_->erasure_pending());
}

TEST_F(CacheErasureTest, NorOfADeniedOne) {
  LoadBoth();
  ASSERT_EQ(writer_->Deny(kSecret, Denial::kNoPermission), common::OkStatus());
  ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
  ExpectGone();
  EXPECT_EQ(Get("secret", Key(0)), "<no permission>");
}

TEST_F(CacheErasureTest, NorOfALoadOrAStagedCut) {
  Changes secret;
  secret.Put("KEY-1", At(1), "SECRET-");
  ASSERT_EQ(writer_->Add(kSecret), common::OkStatus());
  ASSERT_EQ(writer_->BeginLoad(kSecret, At(1)), common::OkStatus());
  ASSERT_EQ(writer_->Stage(kSecret, secret.Views()), common::OkStatus());
  ASSERT_EQ(writer_->Load(kSecret, secret.Views()), common::OkStatus());
  ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
  ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
  ExpectGone();
}

TEST_F(CacheErasureTest, AReaderInTheOldFileReadsOnAndThenMovesOn) {
  LoadBoth();
  ASSERT_EQ(reader_->Refresh(), common::OkStatus());
  ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
  ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
  const auto old = reader_->Get("secret", Key(1));
  ASSERT_TRUE(old.ok() && old->has_value());
  EXPECT_THAT(std::string((*old)->entry.value), testing::HasSubstr("SECRET-1-"));
  reader_->Release();
  Changes changes;
  changes.Put("k", At(30), "new");
  ASSERT_EQ(writer_->Apply(kKept, changes.Views(), At(30)), common::OkStatus());
  EXPECT_EQ(Get("kept", "k"), "new");
  EXPECT_EQ(Get("secret", Key(1)), "<not subscribed>");
}

TEST_F(CacheErasureTest, ALoadGoesOnInTheNewFile) {
  LoadBoth();
  const Collection third{.dataset = "third", .prefix = ""};
  Changes first;
  first.Put("a", At(1), "1");
  ASSERT_EQ(writer_->Add(third), common::OkStatus());
  ASSERT_EQ(writer_->BeginLoad(third, At(1)), common::OkStatus());
  ASSERT_EQ(writer_->Load(third, first.Views()), common::OkStatus());
  Changes staged;
  staged.Put("b", At(2), "2");
  ASSERT_EQ(writer_->Stage(third, staged.Views()), common::OkStatus());
  ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
  ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
  ASSERT_EQ(writer_->Apply(third, {}, At(2)), common::OkStatus());
  EXPECT_EQ(Scan("third"), "a b");
}

TEST_F(CacheErasureTest, APendingErasureIsRememberedAndItsRemainsAreSwept) {
  LoadBoth();
  ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
  Close();
  std::filesystem::create_directory(dir_.path() + "/rebuild");
  std::ofstream(dir_.path() + "/rebuild/data.mdb") << "half of a file, SECRET-";
  Open();
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/rebuild"));
  EXPECT_TRUE(writer_->erasure_pending());
  ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
  ExpectGone();
  EXPECT_EQ(Get("kept", "k"), "stays");
}

TEST_F(CacheErasureTest, ManyTimesInOneProcess) {
  for (common::Revision round = 1; round < 6; ++round) {
    LoadBoth();
    ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
    ASSERT_EQ(writer_->Remove(kKept), common::OkStatus());
    ASSERT_EQ(writer_->FinishErasure(), common::OkStatus());
    ExpectGone();
  }
  const auto other = Cache::Open(options_);
  EXPECT_EQ(other.status().code(), common::StatusCode::kFailedPrecondition)
      << "the directory's lock moved with the file";
}

TEST_F(CacheErasureTest, NothingToEraseCostsNothing) {
  ASSERT_EQ(writer_->Add(kSecret), common::OkStatus());
  ASSERT_EQ(writer_->Remove(kSecret), common::OkStatus());
  EXPECT_FALSE(writer_->erasure_pending());
}

}  // namespace
}  // namespace agent
