#include "agent/cache/cache.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agent/cache/check.h"
#include "agent/cache/directory.h"
#include "agent/cache/environment.h"
#include "agent/cache/layout.h"
#include "agent/cache/reader_impl.h"
#include "agent/cache/rebuild.h"
#include "agent/cache/writer_impl.h"
#include "common/limits.h"

namespace agent {

using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;
using common::lmdb::Env;
using common::lmdb::ReadTxn;

namespace {

constexpr std::string_view kKind = "tributary-agent-cache";
constexpr std::size_t kDiskReserveBytes = 512 * common::kKiB;  // pages of one cut of removals

}  // namespace

struct Cache::Impl {
  CacheOptions options;
  std::string emptied_because;
  DirectoryLock lock;
  CurrentEnvironment current;
  // As found by Open; the writer goes on from them.
  std::vector<CopyRecord> found = {};
  std::uint64_t layout = 0;
  bool erasure_pending = false;

  Status OpenDatabases(Environment& environment);
};

// Opens the slots that are in use, so that a Reader can find them.
Status Cache::Impl::OpenDatabases(Environment& environment) {
  Env& env = environment.env;
  RETURN_IF_ERROR(OpenFixedDatabases(environment));
  {
    ASSIGN_OR_RETURN(const ReadTxn txn, env.BeginRead());
    ASSIGN_OR_RETURN(found, ReadCopies(environment, txn));
    ASSIGN_OR_RETURN(layout, ReadLayout(environment, txn));
    ASSIGN_OR_RETURN(const auto erasure, txn.Get(environment.meta, kMetaErasure));
    erasure_pending = erasure.has_value();
  }
  for (const CopyRecord& record : found) {
    if (record.ready) RETURN_IF_ERROR(environment.slots.Open(env, record.ready->slot));
    if (record.loading) RETURN_IF_ERROR(environment.slots.Open(env, record.loading->slot));
  }
  ASSIGN_OR_RETURN(common::lmdb::WriteTxn txn, env.BeginWrite());
  ASSIGN_OR_RETURN(const auto kind, txn.Get(environment.meta, kMetaKind));
  if (kind == kKind) return OkStatus();
  RETURN_IF_ERROR(txn.Put(environment.meta, kMetaKind, kKind));
  return txn.Commit();
}

Cache::Cache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<Cache>> Cache::Open(const CacheOptions& options) {
  std::string emptied_because;
  for (bool again = false;; again = true) {
    DirectoryLock lock;
    StatusOr<Env> env = OpenEnv(options.dir, options.map_bytes, [&]() -> Status {
      ASSIGN_OR_RETURN(lock, DirectoryLock::Take(options.dir));
      ASSIGN_OR_RETURN(const std::string because, AdmitDirectory(options));
      if (!because.empty()) emptied_because = because;
      RETURN_IF_ERROR(DiscardRebuild(options.dir));
      return again ? EmptyDirectory(options.dir) : OkStatus();
    });
    Status status = env.status();
    if (env.ok()) {
      const std::shared_ptr<Environment> environment(new Environment{.env = *std::move(env)});
      std::unique_ptr<Impl> impl(new Impl{.options = options,
                                          .emptied_because = emptied_because,
                                          .lock = std::move(lock),
                                          .current = CurrentEnvironment(environment)});
      status = impl->OpenDatabases(*environment);
      if (status.ok()) return std::unique_ptr<Cache>(new Cache(std::move(impl)));
    }
    // Broken: it is a cache, so start with an empty one; once.
    if (status.code() != StatusCode::kDataLoss || again) return status;
    emptied_because = fmt::format("it was broken ({})", common::Message(status));
  }
}

Cache::~Cache() {
  if (impl_->current.Get()->env.Sync().ok()) {
    // A directory that stays unclean costs a load after a reboot, nothing else.
    MarkDirectoryClean(impl_->options).IgnoreError();
  }
}

const std::string& Cache::emptied_because() const { return impl_->emptied_because; }

std::unique_ptr<Writer> Cache::MakeWriter(ChangeListener& listener) {
  auto impl = std::unique_ptr<Writer::Impl>(new Writer::Impl{.current = impl_->current,
                                           .options = impl_->options,
                                           .environment = impl_->current.Get(),
                                           .listener = listener,
                                           .reserve = {impl_->options.dir + "/reserve",
                                                       kDiskReserveBytes}});
  impl->reserve.Hold();
  impl->layout = impl_->layout;
  impl->erasure_pending = impl_->erasure_pending;
  for (CopyRecord& record : std::exchange(impl_->found, {})) {
    impl->next_id = std::max(impl->next_id, record.id + 1);
    if (record.staged != 0) impl->staging_is_foreign = true;
    record.staged = 0;
    const common::Collection collection = record.collection;
    impl->copies.emplace(collection, std::move(record));
  }
  return std::unique_ptr<Writer>(new Writer(std::move(impl)));
}

StatusOr<std::unique_ptr<Reader>> Cache::MakeReader(std::size_t index_bytes) {
  auto impl = std::make_unique<Reader::Impl>(impl_->current, index_bytes);
  RETURN_IF_ERROR(impl->Move());
  return std::unique_ptr<Reader>(new Reader(std::move(impl)));
}

void Cache::SetFaultHandler(std::function<void(const common::Collection&)> handler) {
  impl_->current.Get()->faults->SetHandler(std::move(handler));
}

Status Cache::Check() const { return CheckEnvironment(*impl_->current.Get()); }

std::size_t Cache::bytes_used() const { return impl_->current.Get()->env.used_bytes(); }

}  // namespace agent
