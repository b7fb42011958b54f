// Backup and restore: round trips, and every way in which a file can be broken.
#include "control-plane/store/backup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "control-plane/store/check.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

using common::StatusCode;
using testing::Del;
using testing::MakeBatch;
using testing::Put;

constexpr std::size_t kMapBytes = std::size_t{1} << 30;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() : store_(testing::OpenStore(dir_.path() + "/from")) {
    Group group;
    group.declarations = {testing::DeclareDataset("orders.shop", "shop", {"*"}),
                          testing::DeclareDataset("empty", "shop"),
                          testing::DeclareDataset("gone", "shop")};
    group.now_ms = 1000;
    CHECK(store_->Commit(group).ok());
    for (int i = 0; i < 300; ++i) Publish({Put("orders.shop", Key(i), "v" + std::to_string(i))});
    for (int i = 0; i < 300; i += 7) Publish({Del("orders.shop", Key(i))});
    Publish({Put("gone", "k", "v")});
    Group withdraw;
    withdraw.declarations = {testing::WithdrawDataset("gone")};
    withdraw.now_ms = 2000;
    CHECK(store_->Commit(withdraw).ok());
  }
  static std::string Key(int i) { return fmt::format("k{:03}", i); }

  Outcome Publish(std::vector<Write> writes) {
    return PublishTo(*store_, ++sequence_, std::move(writes));
  }
  static Outcome PublishTo(Store& store, std::uint64_t sequence, std::vector<Write> writes) {
    Group group;
    group.batches.push_back(MakeBatch("p", sequence, std::move(writes)));
    group.now_ms = 1500;
    return store.Commit(group)->at(0);
  }
  std::string Backup() {
    auto reader = *store_->OpenBackup(12345);
    std::string file;
    while (true) {
      const std::string piece = *reader->Next();
      if (piece.empty()) return file;
      file.append(piece);
    }
  }
  common::StatusOr<RestoreOutcome> Restore(const std::string& file, const std::string& dir,
                                           std::size_t piece_bytes = 1000) {
    std::size_t at = 0;
    return RestoreBackup(
        dir, kMapBytes,
        [&]() -> common::StatusOr<std::string> {
          std::string piece = file.substr(std::min(at, file.size()), piece_bytes);
          at += piece.size();
          return piece;
        },
        [](std::uint64_t, const BackupHeader&) {});
  }
  static common::Status Parse(std::string_view file) {
    BackupParser parser({});
    RETURN_IF_ERROR(parser.Feed(file));
    return parser.Finish();
  }
  static std::string Row(const Stored& stored) {
    return fmt::format("{} {} {} {}:{}", stored.key, common::FormatVersion(stored.version),
                       stored.resource, stored.position.revision, stored.position.ordinal);
  }
  static std::vector<std::string> Rows(const Store& store, std::string_view name) {
    std::vector<std::string> rows;
    const auto view = *store.OpenView();
    const auto state = **view->Dataset(name);
    const auto add = [&rows](const Stored& stored) {
      rows.push_back(Row(stored));
      return true;
    };
    CHECK(view->ScanEntries(state.id, {}, {}, add).ok());
    CHECK(view->ScanChanges(state.id, {}, {}, add).ok());
    rows.push_back(
        fmt::format("{} {} {}", state.head, state.floor, common::FormatDigest(state.digest)));
    return rows;
  }

  testing::TestDir dir_;
  std::unique_ptr<LmdbStore> store_;
  std::uint64_t sequence_ = 0;
};

TEST_F(BackupTest, RestoresEverythingUnderANewEpoch) {
  const std::string to = dir_.path() + "/to";
  const auto outcome = Restore(Backup(), to);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->header.epoch, store_->epoch());
  EXPECT_EQ(outcome->header.created_ms, 12345);
  EXPECT_NE(outcome->epoch, store_->epoch());
  const auto restored = testing::OpenStore(to, kMapBytes);
  EXPECT_EQ(restored->epoch(), outcome->epoch);
  EXPECT_TRUE(CheckLmdbStore(*restored).ok()) << CheckLmdbStore(*restored);
  EXPECT_EQ(Rows(*restored, "orders.shop"), Rows(*store_, "orders.shop"));
  EXPECT_EQ(restored->catalog()->datasets.size(), 2u);
  EXPECT_EQ(*restored->LastSequence("p"), sequence_);
  // History goes on where it stopped, in the new epoch.
  const Revision head = (*store_->OpenView())->head();
  EXPECT_EQ(PublishTo(*restored, sequence_ + 1, {Put("orders.shop", "new", "v")}).revision,
            head + 1);
  const auto view = *restored->OpenView();
  EXPECT_EQ((*view->Get((*view->Dataset("orders.shop"))->id, "new"))->version,
            (common::Version{outcome->epoch, head + 1}));
  EXPECT_TRUE(CheckLmdbStore(*restored).ok()) << CheckLmdbStore(*restored);
}

TEST_F(BackupTest, IsConsistentWhileWritesGoOn) {
  const auto before = Rows(*store_, "orders.shop");
  auto reader = *store_->OpenBackup(1);
  std::string file = *reader->Next();
  for (int i = 0; i < 50; ++i) {
    Publish({Put("orders.shop", Key(i), "later"), Del("orders.shop", Key(299 - i))});
  }
  while (true) {
    const std::string piece = *reader->Next();
    if (piece.empty()) break;
    file.append(piece);
  }
  const std::string to = dir_.path() + "/to";
  ASSERT_TRUE(Restore(file, to).ok());
  EXPECT_EQ(Rows(*testing::OpenStore(to, kMapBytes), "orders.shop"), before);
}

TEST_F(BackupTest, LargeValuesMakeManyBlocks) {
  const std::string big(common::kValueBytesMax, 'x');
  for (int i = 0; i < 6; ++i) Publish({Put("orders.shop", "big" + std::to_string(i), big)});
  const std::string to = dir_.path() + "/to";
  const auto outcome = Restore(Backup(), to, 64 * 1024);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(Rows(*testing::OpenStore(to, kMapBytes), "orders.shop"), Rows(*store_, "orders.shop"));
}

TEST_F(BackupTest, RefusesToOverwrite) {
  const std::string file = Backup();
  const std::string to = dir_.path() + "/to";
  ASSERT_TRUE(Restore(file, to).ok());
  const auto again = Restore(file, to);
  EXPECT_EQ(again.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(common::Message(again.status()).find("is not empty"), std::string::npos);
  EXPECT_TRUE(CheckLmdbStore(*testing::OpenStore(to, kMapBytes)).ok());
  EXPECT_EQ(Restore(file, dir_.path() + "/from").status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(BackupTest, CutAnywhereItIsNotABackup) {
  const std::string file = Backup();
  EXPECT_TRUE(Parse(file).ok()) << Parse(file);
  for (std::size_t cut = 0; cut < file.size(); cut += 1 + cut / 50) {
    const common::Status status = Parse(std::string_view(file).substr(0, cut));
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << cut << status;
  }
  EXPECT_EQ(Parse(file + "x").code(), StatusCode::kDataLoss);
}

TEST_F(BackupTest, EveryFlippedBitIsNoticed) {
  const std::string file = Backup();
  const std::uint64_t seed = testing::Seed();
  std::mt19937_64 random(seed);
  for (int i = 0; i < 500; ++i) {
    std::string bad = file;
    const std::size_t at = random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    EXPECT_FALSE(Parse(bad).ok()) << "seed " << seed << " byte " << at;
  }
}

TEST_F(BackupTest, FaultsAreNamed) {
  EXPECT_EQ(common::Message(Parse("PK\x03\x04 something else")),
            "this is not a backup made by tributaryctl");
  EXPECT_NE(common::Message(Parse("tributary-backup 2\n....")).find("newer version"),
            std::string::npos);
  std::string file = Backup();
  file[file.size() / 2] = static_cast<char>(file[file.size() / 2] ^ 1);
  EXPECT_NE(common::Message(Parse(file)).find("damaged at byte"), std::string::npos);
}

// What a broken restore leaves is never taken for a store, nor for an empty directory.
TEST_F(BackupTest, ABrokenRestoreLeavesNothingUsable) {
  std::string file = Backup();
  file.resize(file.size() - 20);
  const std::string to = dir_.path() + "/to";
  EXPECT_EQ(Restore(file, to).status().code(), StatusCode::kDataLoss);
  const auto opened = LmdbStore::Open({.dir = to, .map_bytes = kMapBytes});
  ASSERT_EQ(opened.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(common::Message(opened.status()).find("restore that was not finished"),
            std::string::npos);
  EXPECT_EQ(Restore(Backup(), to).status().code(), StatusCode::kFailedPrecondition);
  std::filesystem::remove_all(to);
  EXPECT_TRUE(Restore(Backup(), to).ok());
}

}  // namespace
}  // namespace cp
