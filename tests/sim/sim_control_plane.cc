#include "tests/sim/sim_control_plane.h"

#include <utility>

#include "control-plane/store/backup.h"

namespace sim {
namespace {

constexpr std::size_t kMapBytes = std::size_t{1} << 32;

}  // namespace

SimControlPlane::SimControlPlane(std::string dir, const common::Clock& clock,
                                 cp::ResponseSink& sink)
    : dir_(std::move(dir)), clock_(clock), sink_(sink) {
  Start();
}

void SimControlPlane::Start() {
  auto store = cp::LmdbStore::Open({.dir = dir_, .map_bytes = kMapBytes, .sync = false});
  CHECK(store.ok());
  store_ = *std::move(store);
  hub_ = std::make_unique<cp::Hub>(cp::HubOptions{}, clock_, *store_, sink_);
}

void SimControlPlane::Restart() {
  hub_.reset();
  store_.reset();
  Start();
}

cp::Outcome SimControlPlane::Publish(const std::string& service, std::vector<cp::Write> writes) {
  cp::Batch batch{.publisher_id = "sim", .sequence = ++sequence_, .writes = std::move(writes)};
  cp::Outcome outcome;
  std::vector<cp::CommitJob> jobs;
  jobs.emplace_back(
      cp::PublishJob{.service = service,
                     .publisher_id = "sim",
                     .batches = {std::move(batch)},
                     .forget = false,
                     .done = [&](std::vector<cp::Outcome> all) { outcome = all.at(0); }});
  cp::Committer::CommitOnce(std::move(jobs), clock_, *store_, *this);
  return outcome;
}

void SimControlPlane::Declare(const common::Declaration& object) {
  std::vector<cp::CommitJob> jobs;
  jobs.emplace_back(cp::DeclareJob{.changes = {{.kind = std::string(common::KindOf(object)),
                                                .name = common::NameOf(object),
                                                .object = object}},
                                   .dry_run = false,
                                   .done = [](const auto& outcome) { CHECK(outcome.ok()); }});
  cp::Committer::CommitOnce(std::move(jobs), clock_, *store_, *this);
}

void SimControlPlane::Withdraw(const std::string& kind, const std::string& name) {
  std::vector<cp::CommitJob> jobs;
  jobs.emplace_back(
      cp::DeclareJob{.changes = {{.kind = kind, .name = name, .object = std::nullopt}},
                     .dry_run = false,
                     .done = [](const auto& outcome) { CHECK(outcome.ok()); }});
  cp::Committer::CommitOnce(std::move(jobs), clock_, *store_, *this);
}

std::string SimControlPlane::Backup() const {
  auto reader = store_->OpenBackup(clock_.UnixMillis());
  CHECK(reader.ok());
  std::string file;
  while (true) {
    const auto piece = (*reader)->Next();
    CHECK(piece.ok());
    if (piece->empty()) return file;
    file.append(*piece);
  }
}

void SimControlPlane::Restore(const std::string& file, std::string dir) {
  hub_.reset();
  store_.reset();
  dir_ = std::move(dir);
  bool read = false;
  const auto restored = cp::RestoreBackup(
      dir_, kMapBytes,
      [&]() -> common::StatusOr<std::string> {
        return std::exchange(read, true) ? std::string() : file;
      },
      [](std::uint64_t, const cp::BackupHeader&) {});
  CHECK(restored.ok());
  Start();
}

void SimControlPlane::DropTombstones() {
  for (bool more = true; more;) {
    const auto left = store_->Compact(clock_.UnixMillis() + 1, 0, 1000);
    CHECK(left.ok());
    more = *left;
  }
}

void SimControlPlane::OnCommitted(const std::vector<std::string>& datasets,
                                  cp::CatalogPtr catalog) {
  hub_->OnCommitted(datasets, std::move(catalog));
}

}  // namespace sim
