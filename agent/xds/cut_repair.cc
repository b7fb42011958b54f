// CutAssembler: repair by digests (docs/protocol.md) – the question, and what of the copy is sent
// anew.
#include <string>
#include <utility>

#include "agent/xds/cut.h"
#include "common/buckets.h"

namespace agent {

using common::ResourceView;
using Kind = CacheStep::Kind;

// False: the version is not one of repair.
bool CutAssembler::TakeRepair(TrackedCopy& track, const ResourceView& resource,
                              AssemblyOutcome& out) {
  if (const auto question = common::ParseQuestion(resource.version)) {
    TakeQuestion(track, question->count, out);
    return true;
  }
  const std::optional<common::Version> at = common::ParseRepair(resource.version);
  if (!at) return false;
  if (track.buckets == 0) {
    GiveUpRepair(track, fmt::format("{}: a repair without a question", resource.name), out);
    return true;
  }
  DropHeld(track);
  track.phase = TrackedCopy::Phase::kLoading;
  track.repair.emplace(Repair{.at = *at, .resent = common::BucketSet(track.buckets)});
  return true;
}

// Nothing of the collection counts until the answer's answer.
void CutAssembler::TakeQuestion(TrackedCopy& track, std::size_t buckets, AssemblyOutcome& out) {
  server_ = Server::kMarkers;
  DropHeld(track);
  if (std::exchange(track.staged, false)) {
    out.steps.push_back(Step(track, Kind::kDropStaged, false));
  }
  track.phase = TrackedCopy::Phase::kAwaitBegin;
  track.may_guess = false;
  track.buckets = buckets;
  track.repair.reset();
  out.questions.emplace_back(track.collection, buckets);
}

// Names of runs are no names of entries, so nothing else is tracked under them.
void CutAssembler::TakeRun(const ResourceView& resource, AssemblyOutcome& out) {
  const std::optional<common::RunName> run = common::ParseRunName(resource.name);
  if (!run) return;  // not asked for
  const auto it = by_name_.find(run->collection);
  if (it == by_name_.end()) return;
  TrackedCopy& track = *it->second;
  if (track.repair && run->count == track.repair->resent.count() &&
      track.repair->resent.AddRun(run->first_bucket, resource.version)) {
    return;
  }
  GiveUpRepair(track, fmt::format("{}: '{}' does not fit", resource.name, resource.version), out);
}

// Without a run's marker entries would stay that are gone: all of the copy is loaded.
void CutAssembler::GiveUpRepair(TrackedCopy& track, std::string why, AssemblyOutcome& out) {
  out.rejected.push_back(std::move(why));
  out.unrepaired.push_back(track.collection);
  DropHeld(track);
  track.repair.reset();
  track.buckets = 0;
  track.phase = TrackedCopy::Phase::kAwaitBegin;
}

// All of a repair's markers are there.
void CutAssembler::BeginRepair(TrackedCopy& track, std::vector<CacheStep>& steps) {
  CacheStep begin = Step(track, Kind::kBeginRepair, false);
  begin.version = track.repair->at;
  begin.resent = std::move(track.repair->resent);
  steps.push_back(std::move(begin));
  track.repair.reset();
  track.buckets = 0;
  track.rejected.clear();
}

}  // namespace agent
