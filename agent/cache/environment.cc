#include "agent/cache/environment.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace agent {

using common::Status;
using common::StatusCode;
using common::StatusOr;

namespace {

constexpr unsigned kFixedDatabases = 3;

}  // namespace

Status Slots::Open(common::lmdb::Env& env, std::uint32_t slot) {
  CHECK(slot < handles_.size());
  if (Dbi(slot) != 0) return common::OkStatus();
  ASSIGN_OR_RETURN(const common::lmdb::Dbi dbi, env.OpenDatabase(fmt::format("g{}", slot)));
  handles_[slot].store(dbi, std::memory_order_release);
  return common::OkStatus();
}

void Faults::Report(const common::Collection& collection, std::uint64_t serial) {
  std::function<void(const common::Collection&)> handler;
  {
    common::MutexLock lock(mutex_);
    if (!serials_.insert(serial).second) return;
    count_.store(serials_.size(), std::memory_order_release);
    handler = handler_;
  }
  if (handler) handler(collection);
}

void Faults::Forget(std::uint64_t serial) {
  common::MutexLock lock(mutex_);
  serials_.erase(serial);
  count_.store(serials_.size(), std::memory_order_release);
}

void Faults::SetHandler(std::function<void(const common::Collection&)> handler) {
  common::MutexLock lock(mutex_);
  handler_.swap(handler);
}

bool Faults::Find(std::uint64_t serial) const {
  common::MutexLock lock(mutex_);
  return serials_.contains(serial);
}

StatusOr<common::lmdb::Env> OpenEnv(const std::string& dir, std::size_t map_bytes,
                                    std::function<Status()> prepare) {
  common::lmdb::EnvOptions options{
      .dir = dir,
      .map_bytes = map_bytes + common::lmdb::MapReserve(map_bytes),
      .databases_max = kFixedDatabases + static_cast<unsigned>(common::kGenerationsMax),
      .sync = false};
  options.prepare = std::move(prepare);
  return common::lmdb::Env::Open(options);
}

Status OpenFixedDatabases(Environment& environment) {
  ASSIGN_OR_RETURN(environment.meta, environment.env.OpenDatabase("meta"));
  ASSIGN_OR_RETURN(environment.copies, environment.env.OpenDatabase("copies"));
  ASSIGN_OR_RETURN(environment.staging, environment.env.OpenDatabase("staging"));
  return common::OkStatus();
}

StatusOr<std::uint64_t> ReadLayout(const Environment& environment, const common::lmdb::Txn& txn) {
  ASSIGN_OR_RETURN(const std::optional<std::string_view> bytes,
                   txn.Get(environment.meta, kMetaLayout));
  if (!bytes) return 0u;
  if (bytes->size() != 8)
    return common::Error(StatusCode::kDataLoss, "layout version is malformed");
  return common::lmdb::ReadBigEndian64(*bytes);
}

StatusOr<std::vector<CopyRecord>> ReadCopies(const Environment& environment,
                                             const common::lmdb::Txn& txn) {
  std::vector<CopyRecord> records;
  ASSIGN_OR_RETURN(common::lmdb::Cursor cursor,
                   common::lmdb::Cursor::Open(txn, environment.copies));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    std::optional<CopyRecord> record = ParseCopyRecord(cursor.key(), cursor.value());
    if (!record) return common::Error(StatusCode::kDataLoss, "a copy record is malformed");
    records.push_back(*std::move(record));
    RETURN_IF_ERROR(cursor.Next());
  }
  std::ranges::sort(records, {}, &CopyRecord::collection);
  return records;
}

}  // namespace agent
