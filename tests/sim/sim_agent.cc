#include "tests/sim/sim_agent.h"

#include <utility>

namespace sim {

SimAgent::SimAgent(std::string dir, std::string service, const common::Clock& clock,
                   agent::RequestSink& sink, const History& history)
    : dir_(std::move(dir)),
      service_(std::move(service)),
      clock_(clock),
      sink_(sink),
      history_(history),
      log_(common::LogLevel::kOff, common::LogFormat::kText) {
  Start();
}

SimAgent::~SimAgent() = default;

void SimAgent::Start() {
  auto cache =
      agent::Cache::Open({.dir = dir_, .service = service_, .map_bytes = std::size_t{1} << 32});
  CHECK(cache.ok());
  cache_ = *std::move(cache);
  writer_ = cache_->MakeWriter(*this);
  auto reader = cache_->MakeReader();
  CHECK(reader.ok());
  reader_ = *std::move(reader);
  agent::SyncOptions options;
  options.service = service_;
  options.instance = dir_;
  core_ =
      std::make_unique<agent::SyncCore>(std::move(options), clock_, *writer_, board_, sink_, log_);
  CHECK(core_->Start().ok());
}

void SimAgent::Restart() {
  core_.reset();
  reader_.reset();
  writer_.reset();
  cache_.reset();
  Start();
}

Content SimAgent::ReadCopy(const common::Collection& collection) const {
  Content content;
  const common::Status status = reader_->Scan(collection.dataset, collection.prefix, {},
                                              [&](std::string_view key, const agent::Found& found) {
                                                content.emplace(key, found.entry.value);
                                                return true;
                                              });
  CHECK(status.ok());
  return content;
}

bool SimAgent::WentBack(const common::Version& from, const common::Version& to) const {
  return from.epoch == to.epoch ? to.revision < from.revision : to.epoch != history_.epoch();
}

std::string SimAgent::CheckReads() {
  CHECK(reader_->Refresh().ok());
  std::string wrong;
  std::map<common::Collection, common::Version> now;
  for (const agent::CopyState& copy : reader_->Copies()) {
    if (!copy.complete) continue;
    const common::Version& at = copy.cursor;
    now[copy.collection] = at;
    const auto before = seen_.find(copy.collection);
    if (before != seen_.end() && WentBack(before->second, at)) {
      wrong = fmt::format("{}: {} went back from {} to {}", service_,
                          common::CollectionName(copy.collection),
                          common::FormatVersion(before->second), common::FormatVersion(at));
    } else if (ReadCopy(copy.collection) != history_.At(copy.collection, at)) {
      const Content have = ReadCopy(copy.collection);
      const Content want = history_.At(copy.collection, at);
      wrong = fmt::format("{}: {} holds {} entries, not the {} of its version {}", service_,
                          common::CollectionName(copy.collection), have.size(), want.size(),
                          common::FormatVersion(at));
    }
  }
  reader_->Release();
  seen_ = std::move(now);
  return wrong;
}

std::string SimAgent::CheckSettled(const std::vector<common::Collection>& wanted,
                                   const std::string& denied) const {
  CHECK(reader_->Refresh().ok());
  std::string wrong;
  std::size_t found = 0;
  for (const common::Collection& collection : wanted) {
    for (const agent::CopyState& copy : reader_->Copies()) {
      if (copy.collection != collection) continue;
      ++found;
      const bool is_denied = collection.dataset == denied;
      const Content want = is_denied ? Content() : history_.Now(collection);
      const bool state_ok = is_denied ? copy.denial == agent::Denial::kNoPermission : copy.complete;
      if (!state_ok || ReadCopy(collection) != want) {
        wrong = fmt::format("{}: {} has not settled (complete {}, denial {}, revision {})",
                            service_, common::CollectionName(collection), copy.complete,
                            static_cast<int>(copy.denial), copy.cursor.revision);
      }
    }
  }
  for (const agent::CopyStatus& status : board_.Get()->copies) {
    if (!wrong.empty() || status.collection.dataset == denied) continue;
    const bool whole = status.collection.prefix.empty();
    if (status.phase != agent::CopyPhase::kSynced || status.digest_mismatch ||
        (whole && status.verified_at_ms == 0)) {
      wrong = fmt::format("{}: {} is {}, verified at {}", service_,
                          common::CollectionName(status.collection), agent::PhaseName(status.phase),
                          status.verified_at_ms);
    }
  }
  if (wrong.empty() && (found != wanted.size() || reader_->Copies().size() != wanted.size())) {
    wrong = fmt::format("{}: has {} copies, wants {}, of which {} are there", service_,
                        reader_->Copies().size(), wanted.size(), found);
  }
  reader_->Release();
  return wrong;
}

std::string SimAgent::CheckFiles() const { return std::string(common::Message(cache_->Check())); }

}  // namespace sim
