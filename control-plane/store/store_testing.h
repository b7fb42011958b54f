// What the tests of the store share.
//
// Thread: the test's.  Lifetime: values.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "control-plane/store/lmdb_store.h"

namespace cp::testing {

// A directory of its own, in memory where there is /dev/shm; removed at the end.
class TestDir {
 public:
  TestDir() {
    const char* const base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base != nullptr ? base : "/dev/shm") + "/store-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) path_ = "/tmp/store-XXXXXX";
    if (!std::filesystem::exists(path_)) CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TestDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// TRIBUTARY_SEED, else a random one; print it with every failure.
inline std::uint64_t Seed() {
  const char* const text = std::getenv("TRIBUTARY_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device()();
}

inline std::unique_ptr<LmdbStore> OpenStore(const std::string& dir,
                                            std::size_t map_bytes = std::size_t{1} << 30,
                                            std::size_t log_bytes = 16 * common::kMiB) {
  auto store = LmdbStore::Open({.dir = dir, .map_bytes = map_bytes, .log_bytes = log_bytes});
  if (!store.ok()) common::CheckFailed(store.status().ToString().c_str(), __FILE__, __LINE__);
  return *std::move(store);
}

inline DeclarationChange DeclareDataset(std::string name, std::string owner,
                                        std::vector<std::string> consumers = {},
                                        std::size_t max_value_bytes = common::kValueBytesMax) {
  common::Dataset dataset{.name = name,
                          .owner = std::move(owner),
                          .consumers = std::move(consumers),
                          .max_value_bytes = max_value_bytes};
  return {.kind = "Dataset", .name = std::move(name), .object = std::move(dataset)};
}

inline DeclarationChange WithdrawDataset(std::string name) {
  return {.kind = "Dataset", .name = std::move(name), .object = std::nullopt};
}

inline Write Put(std::string dataset, std::string key, std::string value) {
  return {.dataset = std::move(dataset), .key = std::move(key), .value = std::move(value)};
}
inline Write Del(std::string dataset, std::string key) {
  return {.dataset = std::move(dataset), .key = std::move(key), .value = std::nullopt};
}

inline Batch MakeBatch(std::string publisher_id, std::uint64_t sequence,
                       std::vector<Write> writes) {
  return {.publisher_id = std::move(publisher_id),
          .sequence = sequence,
          .writes = std::move(writes)};
}

}  // namespace cp::testing
