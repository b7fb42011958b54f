#include "agent/cache/cache.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agent/cache/check.h"
#include "agent/cache/directory.h"
#include "agent/cache/environment.h"
#include "agent/cache/layout.h"
#include "agent/cache/reader_impl.h"
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
constexpr unsigned kFixedDatabases = 3;
constexpr std::size_t kDiskReserveBytes = 512 * common::kKiB;  // pages of one cut of removals

}  // namespace

struct Cache::Impl {
  CacheOptions options;
  std::string emptied_because;
  Environment environment;
  // As found by Open; the writer goes on from them.
  std::vector<CopyRecord> found = {};
  std::uint64_t layout = 0;

  Status OpenDatabases();
};

// Opens the slots that are in use, so that a Reader can find them.
Status Cache::Impl::OpenDatabases() {
  Env& env = environment.env;
  ASSIGN_OR_RETURN(environment.meta, env.OpenDatabase("meta"));
  ASSIGN_OR_RETURN(environment.copies, env.OpenDatabase("copies"));
  ASSIGN_OR_RETURN(environment.staging, env.OpenDatabase("staging"));
  {
    ASSIGN_OR_RETURN(const ReadTxn txn, env.BeginRead());
    ASSIGN_OR_RETURN(found, ReadCopies(environment, txn));
    ASSIGN_OR_RETURN(layout, ReadLayout(environment, txn));
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
    common::lmdb::EnvOptions env_options{
        .dir = options.dir,
        .map_bytes = options.map_bytes,
        .databases_max = kFixedDatabases + static_cast<unsigned>(common::kGenerationsMax),
        .sync = false};
    env_options.prepare = [&]() -> Status {
      ASSIGN_OR_RETURN(const std::string because, AdmitDirectory(options));
      if (!because.empty()) emptied_because = because;
      return again ? EmptyDirectory(options.dir) : OkStatus();
    };
    StatusOr<Env> env = Env::Open(env_options);
    Status status = env.status();
    if (env.ok()) {
      std::unique_ptr<Impl> impl(
          new Impl{.options = options,
                   .emptied_because = emptied_because,
                   .environment = {.env = *std::move(env),
                                   .reserve = {options.dir + "/reserve", kDiskReserveBytes}}});
      impl->environment.reserve.Hold();
      status = impl->OpenDatabases();
      if (status.ok()) return std::unique_ptr<Cache>(new Cache(std::move(impl)));
    }
    // Broken: it is a cache, so start with an empty one; once.
    if (status.code() != StatusCode::kDataLoss || again) return status;
    emptied_because = fmt::format("it was broken ({})", common::Message(status));
  }
}

Cache::~Cache() {
  if (impl_->environment.env.Sync().ok()) {
    // A directory that stays unclean costs a load after a reboot, nothing else.
    MarkDirectoryClean(impl_->options).IgnoreError();
  }
}

const std::string& Cache::emptied_because() const { return impl_->emptied_because; }

std::unique_ptr<Writer> Cache::MakeWriter(ChangeListener& listener) {
  auto impl = std::unique_ptr<Writer::Impl>(
      new Writer::Impl{.environment = impl_->environment, .listener = listener});
  impl->layout = impl_->layout;
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
  ASSIGN_OR_RETURN(ReadTxn txn, impl_->environment.env.BeginRead());
  txn.Reset();
  std::unique_ptr<Reader::Impl> impl(new Reader::Impl{
      .environment = impl_->environment, .txn = std::move(txn), .index = PlaceIndex(index_bytes)});
  impl->StartIndex();
  return std::unique_ptr<Reader>(new Reader(std::move(impl)));
}

void Cache::SetFaultHandler(std::function<void(const common::Collection&)> handler) {
  impl_->environment.faults.SetHandler(std::move(handler));
}

Status Cache::Check() const { return CheckEnvironment(impl_->environment); }

std::size_t Cache::bytes_used() const { return impl_->environment.env.used_bytes(); }

}  // namespace agent
