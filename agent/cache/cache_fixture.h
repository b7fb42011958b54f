// For tests: a directory in memory, changes that own their bytes, and a cache with its writer.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"

namespace agent {

inline const common::Collection kOrders{.dataset = "orders", .prefix = ""};

// Deleted at the end of its life. In memory where the machine has a file system for it.
class TempDir {
 public:
  TempDir() {
    const char* set = std::getenv("TMPDIR");
    const std::string base = set != nullptr ? set : "/dev/shm";
    std::string pattern =
        (std::filesystem::exists(base) ? base : std::string("/tmp")) + "/tributary-cache-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Changes that own their bytes.
class Changes {
 public:
  Changes& Put(std::string key, common::Version version, std::string value,
               std::string content_type = "") {
    owned_.push_back({std::move(key), version, std::move(value), std::move(content_type)});
    return *this;
  }
  Changes& Remove(std::string key, common::Version version) {
    owned_.push_back({std::move(key), version, std::nullopt, ""});
    return *this;
  }
  // Valid until the next Put or Remove.
  const std::vector<Change>& Views() {
    views_.clear();
    for (const Owned& owned : owned_) {
      Change& change = views_.emplace_back();
      change.key = owned.key;
      change.version = owned.version;
      if (!owned.value) continue;
      change.entry.emplace();
      change.entry->value = *owned.value;
      change.entry->published_at_ms = 1'700'000'000'000 + static_cast<int>(owned.version.revision);
      change.entry->content_type = owned.content_type;
    }
    return views_;
  }

 private:
  struct Owned {
    std::string key;
    common::Version version;
    std::optional<std::string> value;
    std::string content_type;
  };
  std::vector<Owned> owned_;
  std::vector<Change> views_;
};

class RecordingListener final : public ChangeListener {
 public:
  bool Wants() const override { return wants; }
  void OnChanged(std::vector<ChangedKey> keys) override {
    for (ChangedKey& key : keys) changed.push_back((key.deleted ? "del " : "set ") + key.key);
  }
  void OnReplaced(const std::string& dataset) override { changed.push_back("all " + dataset); }

  bool wants = true;
  std::vector<std::string> changed;
};

inline std::uint64_t TestSeed() {
  const char* given = std::getenv("TRIBUTARY_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  testing::Test::RecordProperty("seed", std::to_string(seed));
  std::fprintf(stderr, "TRIBUTARY_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

// A cache in a directory of its own. Check is run at the end of every test.
class CacheFixture : public testing::Test {
 protected:
  static constexpr common::Epoch kEpoch = 0xABCDEF012345;
  static common::Version At(common::Revision revision) {
    return {.epoch = kEpoch, .revision = revision};
  }

  CacheFixture() {
    options_.dir = dir_.path();
    options_.service = "billing.finance";
    options_.map_bytes = 256ULL << 20;
  }
  void SetUp() override { Open(); }
  void TearDown() override {
    if (cache_ == nullptr) return;
    EXPECT_EQ(cache_->Check(), common::OkStatus());
  }

  void Open() {
    common::StatusOr<std::unique_ptr<Cache>> cache = Cache::Open(options_);
    ASSERT_TRUE(cache.ok()) << cache.status();
    cache_ = *std::move(cache);
    writer_ = cache_->MakeWriter(listener_);
    common::StatusOr<std::unique_ptr<Reader>> reader = cache_->MakeReader(/*index_bytes=*/1 << 20);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
  }
  void Close() {
    reader_.reset();
    writer_.reset();
    cache_.reset();
  }
  void Reopen() {
    Close();
    Open();
  }

  // A complete copy that holds `changes`.
  void LoadCopy(const common::Collection& collection, Changes& changes, common::Revision revision) {
    ASSERT_EQ(writer_->Add(collection), common::OkStatus());
    ASSERT_EQ(writer_->BeginLoad(collection, At(revision)), common::OkStatus());
    ASSERT_EQ(writer_->Load(collection, changes.Views()), common::OkStatus());
    ASSERT_EQ(writer_->Apply(collection, {}, At(revision)), common::OkStatus());
  }

  // In the newest snapshot: the value, "<none>", or the name of the failure.
  std::string Get(const std::string& dataset, const std::string& key) {
    EXPECT_EQ(reader_->Refresh(), common::OkStatus());
    const Coverage coverage = reader_->CoverageOf(dataset, key);
    if (coverage != Coverage::kReadable) return CoverageText(coverage);
    const auto found = reader_->Get(dataset, key);
    std::string text = !found.ok()             ? absl::StatusCodeToString(found.status().code())
                       : !(*found).has_value() ? "<none>"
                                               : std::string((*found)->entry.value);
    reader_->Release();
    return text;
  }
  // Keys of a scan, joined by spaces.
  std::string Scan(const std::string& dataset, const std::string& prefix = "",
                   const std::string& after = "", std::size_t count = SIZE_MAX) {
    EXPECT_EQ(reader_->Refresh(), common::OkStatus());
    std::string keys;
    std::size_t left = count;
    EXPECT_EQ(reader_->Scan(dataset, prefix, after,
                            [&](std::string_view key, const Found&) {
                              keys.append(keys.empty() ? "" : " ").append(key);
                              return --left > 0;
                            }),
              common::OkStatus());
    reader_->Release();
    return keys;
  }
  static std::string CoverageText(Coverage coverage) {
    switch (coverage) {
      case Coverage::kReadable:
        return "<readable>";
      case Coverage::kNotSubscribed:
        return "<not subscribed>";
      case Coverage::kLoading:
        return "<loading>";
      case Coverage::kNoDataset:
        return "<no dataset>";
      case Coverage::kNoPermission:
        return "<no permission>";
      case Coverage::kFaulted:
        return "<faulted>";
      case Coverage::kNotHeld:
        return "<not held>";
    }
    return "<unknown>";
  }

  TempDir dir_;
  CacheOptions options_;
  RecordingListener listener_;
  std::unique_ptr<Cache> cache_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace agent
