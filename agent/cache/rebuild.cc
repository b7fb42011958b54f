#include "agent/cache/rebuild.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/cache/layout.h"
#include "common/limits.h"
#include "common/lmdb.h"

namespace agent {
namespace {

using common::OkStatus;
using common::Status;
using common::StatusOr;
using common::lmdb::Cursor;
using common::lmdb::Dbi;
using common::lmdb::ReadTxn;
using common::lmdb::WriteTxn;

constexpr std::size_t kTransactionBytes = common::kApplyBytesMax;

// Appends everything in `from` to the empty database `to`, in transactions of bounded size.
Status CopyDatabase(const ReadTxn& read, Dbi from, common::lmdb::Env& env, Dbi to) {
  ASSIGN_OR_RETURN(Cursor cursor, Cursor::Open(read, from));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    ASSIGN_OR_RETURN(WriteTxn txn, env.BeginWrite());
    std::size_t bytes = 0;
    while (cursor.valid() && bytes < kTransactionBytes) {
      RETURN_IF_ERROR(txn.Append(to, cursor.key(), cursor.value()));
      bytes += cursor.key().size() + cursor.value().size();
      RETURN_IF_ERROR(cursor.Next());
    }
    RETURN_IF_ERROR(txn.Commit());
  }
  return OkStatus();
}

Status CopyGeneration(const ReadTxn& read, Environment& from, Environment& to,
                      const std::optional<Generation>& generation) {
  if (!generation) return OkStatus();
  RETURN_IF_ERROR(to.slots.Open(to.env, generation->slot));
  return CopyDatabase(read, from.slots.Dbi(generation->slot), to.env,
                      to.slots.Dbi(generation->slot));
}

Status ForgetErasure(Environment& environment) {
  ASSIGN_OR_RETURN(WriteTxn txn, environment.env.BeginWrite());
  RETURN_IF_ERROR(txn.Delete(environment.meta, kMetaErasure).status());
  return txn.Commit();
}

Status CopyAll(Environment& from, Environment& to) {
  ASSIGN_OR_RETURN(const ReadTxn read, from.env.BeginRead());
  ASSIGN_OR_RETURN(const std::vector<CopyRecord> records, ReadCopies(from, read));
  RETURN_IF_ERROR(CopyDatabase(read, from.meta, to.env, to.meta));
  RETURN_IF_ERROR(CopyDatabase(read, from.copies, to.env, to.copies));
  RETURN_IF_ERROR(CopyDatabase(read, from.staging, to.env, to.staging));
  for (const CopyRecord& record : records) {
    RETURN_IF_ERROR(CopyGeneration(read, from, to, record.ready));
    RETURN_IF_ERROR(CopyGeneration(read, from, to, record.loading));
  }
  return ForgetErasure(to);
}

std::string RebuildPath(const std::string& dir) { return dir + "/rebuild"; }

}  // namespace

Status DiscardRebuild(const std::string& dir) {
  std::error_code failed;
  std::filesystem::remove_all(RebuildPath(dir), failed);
  if (!failed) return OkStatus();
  return common::lmdb::ToStatus(failed.value(), "delete " + RebuildPath(dir));
}

StatusOr<std::shared_ptr<Environment>> RebuildEnvironment(Environment& from,
                                                          const CacheOptions& options) {
  const std::string path = RebuildPath(options.dir);
  RETURN_IF_ERROR(DiscardRebuild(options.dir));
  const auto attempt = [&]() -> StatusOr<std::shared_ptr<Environment>> {
    ASSIGN_OR_RETURN(common::lmdb::Env env, OpenEnv(path, options.map_bytes, {}));
    std::shared_ptr<Environment> to(
        new Environment{.env = std::move(env), .faults = from.faults, .sketch = from.sketch});
    RETURN_IF_ERROR(OpenFixedDatabases(*to));
    RETURN_IF_ERROR(CopyAll(from, *to));
    if (std::rename((path + "/data.mdb").c_str(), (options.dir + "/data.mdb").c_str()) != 0) {
      return common::lmdb::ToStatus(errno, "replace the data file");
    }
    return to;
  };
  StatusOr<std::shared_ptr<Environment>> made = attempt();
  // Left behind it would be in the way of nothing; the next rebuild or start deletes it.
  DiscardRebuild(options.dir).IgnoreError();
  return made;
}

}  // namespace agent
