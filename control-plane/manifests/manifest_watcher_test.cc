#include "control-plane/manifests/manifest_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "control-plane/store/lmdb_store.h"

namespace cp {
namespace {

using testing::HasSubstr;

class Ignore final : public CommitListener {
  void OnCommitted(const std::vector<std::string>&, CatalogPtr) override {}
};

std::string DatasetYaml(const std::string& name, const std::string& owner) {
  return "apiVersion: tributary.dev/v1alpha1\nkind: Dataset\nmetadata: {name: " + name +
         "}\nspec: {owner: " + owner + ", consumers: ['*']}\n";
}

class ManifestWatcherTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/manifest_watcher_test." + std::to_string(getpid());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_ + "/m");
    auto store = LmdbStore::Open({.dir = dir_ + "/store", .map_bytes = 1 << 30, .sync = false});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    committer_ = std::make_unique<Committer>(CommitterOptions{}, clock_, *store_, listener_);
    Restart();
  }
  void TearDown() override {
    watcher_.reset();
    committer_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Restart() {
    watcher_ = std::make_unique<ManifestWatcher>(ManifestWatcherOptions{.dir = dir_ + "/m"},
                                                 *store_, *committer_, log_);
  }
  void WriteFile(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/tmp") << text;
    std::filesystem::rename(dir_ + "/tmp", dir_ + "/m/" + name);
  }
  std::string OwnerOf(const std::string& dataset) {
    EXPECT_TRUE(watcher_->Reconcile().ok());
    const common::Dataset* found = store_->catalog()->FindDataset(dataset);
    return found == nullptr ? "(none)" : found->owner;
  }

  common::SystemClock clock_;
  std::string logged_;
  common::Log log_{common::LogLevel::kInfo, common::LogFormat::kText,
                   [this](std::string_view line) { logged_.append(line).append("\n"); }};
  Ignore listener_;
  std::string dir_;
  std::unique_ptr<LmdbStore> store_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<ManifestWatcher> watcher_;
};

TEST_F(ManifestWatcherTest, AddEditBreakMendRemove) {
  WriteFile("a.yaml", DatasetYaml("orders", "checkout"));
  WriteFile("notes.txt", "not a manifest: [");
  EXPECT_EQ(OwnerOf("orders"), "checkout");
  WriteFile("a.yaml", DatasetYaml("orders", "shop"));
  EXPECT_EQ(OwnerOf("orders"), "shop");
  WriteFile("a.yaml", "kind: Datasett\n");
  EXPECT_EQ(OwnerOf("orders"), "shop");
  EXPECT_THAT(logged_, HasSubstr("a.yaml:1"));
  logged_.clear();
  EXPECT_EQ(OwnerOf("orders"), "shop");
  EXPECT_EQ(logged_, "") << "a fault is told once";
  WriteFile("a.yaml", DatasetYaml("orders", "mended"));
  EXPECT_EQ(OwnerOf("orders"), "mended");
  std::filesystem::remove(dir_ + "/m/a.yaml");
  EXPECT_EQ(OwnerOf("orders"), "(none)");
}

TEST_F(ManifestWatcherTest, RemovalWhileStoppedIsSeenAtStart) {
  WriteFile("a.yaml", DatasetYaml("orders", "checkout"));
  EXPECT_EQ(OwnerOf("orders"), "checkout");
  std::filesystem::remove(dir_ + "/m/a.yaml");
  Restart();
  EXPECT_EQ(OwnerOf("orders"), "(none)");
}

// Goal: a mounted ConfigMap changes by one rename of the symlink ..data.
TEST_F(ManifestWatcherTest, FollowsTheSymlinkSwapOfAConfigMap) {
  const std::filesystem::path m = dir_ + "/m";
  for (const char* generation : {"..1", "..2"}) {
    std::filesystem::create_directories(m / generation);
    std::ofstream(m / generation / "a.yaml")
        << DatasetYaml("orders", std::string("owner") + generation[2]);
  }
  std::filesystem::create_directory_symlink("..1", m / "..data");
  std::filesystem::create_symlink("..data/a.yaml", m / "a.yaml");
  EXPECT_EQ(OwnerOf("orders"), "owner1");
  std::filesystem::create_directory_symlink("..2", m / "..next");
  std::filesystem::rename(m / "..next", m / "..data");
  EXPECT_EQ(OwnerOf("orders"), "owner2");
}

TEST_F(ManifestWatcherTest, AnUnreadableDirectoryIsAnErrorAndChangesNothing) {
  WriteFile("a.yaml", DatasetYaml("orders", "checkout"));
  EXPECT_EQ(OwnerOf("orders"), "checkout");
  std::filesystem::rename(dir_ + "/m", dir_ + "/away");
  EXPECT_EQ(watcher_->Reconcile().code(), common::StatusCode::kNotFound);
  EXPECT_NE(store_->catalog()->FindDataset("orders"), nullptr);
}

TEST_F(ManifestWatcherTest, WatchesWhileItRuns) {
  watcher_->Start();
  WriteFile("a.yaml", DatasetYaml("orders", "checkout"));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (store_->catalog()->FindDataset("orders") == nullptr &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_NE(store_->catalog()->FindDataset("orders"), nullptr);
}

}  // namespace
}  // namespace cp
