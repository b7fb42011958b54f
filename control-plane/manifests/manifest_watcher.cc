#include "control-plane/manifests/manifest_watcher.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <system_error>
#include <utility>

namespace cp {
namespace {

constexpr std::uintmax_t kManifestBytesMax = 16 * common::kMiB;

bool IsManifest(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string extension = path.extension().string();
  return !name.starts_with('.') &&
         (extension == ".yaml" || extension == ".yml" || extension == ".json");
}

ManifestSet::Parsed ReadManifest(const std::string& file) {
  std::error_code failed;
  const std::uintmax_t bytes = std::filesystem::file_size(file, failed);
  if (!failed && bytes > kManifestBytesMax) {
    return common::InvalidArgument("{}: has {} bytes, at most {} are allowed; split it", file,
                                   bytes, kManifestBytesMax);
  }
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (failed || !in) return common::InvalidArgument("{}: cannot be read", file);
  return common::ParseDeclarations(text, file);
}

}  // namespace

ManifestWatcher::ManifestWatcher(ManifestWatcherOptions options, const Store& store,
                                 Committer& committer, common::Log& log)
    : options_(std::move(options)), store_(store), committer_(committer), log_(log) {}

ManifestWatcher::~ManifestWatcher() { stop_.Close(); }

void ManifestWatcher::Start() {
  thread_ = common::Thread("manifests", [this] {
    while (!stop_.closed()) {
      stop_.WaitAll(options_.interval);
      if (stop_.closed()) return;
      if (common::Status status = Reconcile(); !status.ok())
        LogFaults({{options_.dir, std::string(common::Message(status))}});
    }
  });
}

common::StatusOr<ManifestWatcher::Listing> ManifestWatcher::List() const {
  std::error_code failed;
  std::filesystem::directory_iterator entries(options_.dir, failed);
  if (failed) {
    return common::Error(common::StatusCode::kNotFound, "--manifests {}: {}", options_.dir,
                         failed.message());
  }
  Listing listing;
  for (; entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    if (failed) {
      return common::Error(common::StatusCode::kNotFound, "--manifests {}: {}", options_.dir,
                           failed.message());
    }
    struct stat info {};
    const std::string path = entries->path().string();
    if (!IsManifest(entries->path()) || ::stat(path.c_str(), &info) != 0) continue;
    if (!S_ISREG(info.st_mode)) continue;
    listing[path] = {.modified_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
                     .bytes = info.st_size,
                     .inode = info.st_ino};
  }
  return listing;
}

void ManifestWatcher::ReadChanged(const Listing& listing) {
  for (const auto& [file, signature] : seen_) {
    if (!listing.contains(file)) manifests_.Remove(file);
  }
  for (const auto& [file, signature] : listing) {
    const auto before = seen_.find(file);
    if (before != seen_.end() && before->second == signature) continue;
    manifests_.Put(file, ReadManifest(file));
  }
  seen_ = listing;
}

common::Status ManifestWatcher::Submit(ManifestPlan plan) {
  auto answer = std::make_shared<std::promise<common::Status>>();
  std::future<common::Status> decided = answer->get_future();
  const bool taken = committer_.Submit(
      DeclareJob{.changes = std::move(plan.changes),
                 .dry_run = false,
                 .done = [answer](const common::StatusOr<std::vector<std::string>>& outcome) {
                   answer->set_value(outcome.status());
                 }});
  return taken ? decided.get() : absl::UnavailableError("the store takes no changes just now");
}

common::Status ManifestWatcher::Reconcile() {
  ASSIGN_OR_RETURN(const Listing listing, List());
  ReadChanged(listing);
  std::map<std::string, std::string> faults = manifests_.Faults();
  for (ManifestPlan& plan : manifests_.Plan(*store_.catalog())) {
    const std::string file = plan.file;
    const std::size_t changes = plan.changes.size();
    const common::Status status = Submit(std::move(plan));
    if (status.ok()) {
      log_.Info("manifests applied",
                {{"file", file.empty() ? "(withdrawn)" : file}, {"objects", changes}});
    } else {
      faults.emplace(file, std::string(common::Message(status)));
    }
  }
  LogFaults(std::move(faults));
  return common::OkStatus();
}

void ManifestWatcher::LogFaults(std::map<std::string, std::string> faults) {
  for (const auto& [file, fault] : faults) {
    const auto before = logged_faults_.find(file);
    if (before != logged_faults_.end() && before->second == fault) continue;
    log_.Error("manifest refused, its former objects stay", {{"file", file}, {"error", fault}});
  }
  logged_faults_ = std::move(faults);
}

}  // namespace cp
