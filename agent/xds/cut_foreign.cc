// CutAssembler: what servers do that send no markers – times to live, and loads without an end.
#include <algorithm>
#include <utility>

#include "agent/xds/cut.h"
#include "common/limits.h"

namespace agent {

using common::ResourceView;
using Kind = CacheStep::Kind;

// A resource without content: a heartbeat of the version that is held, or (without a version) an
// old way to say that it does not exist.
std::string CutAssembler::TryBare(const Place& place, const ResourceView& resource,
                                  AssemblyOutcome& out) {
  if (resource.version.empty() && !resource.has_ttl) {
    TakeAbsence(place, resource.name, out);
    return {};
  }
  const std::optional<EntryVersion> held = moment_.held(place.track->collection, place.key);
  const bool same = held && (held->text.empty() ? common::FormatVersion(held->version)
                                                : held->text) == resource.version;
  if (!same) return fmt::format("no content, and version '{}' is not held", resource.version);
  if (!resource.has_ttl || !Accepts(*place.track, out)) return {};
  Change change{.key = place.key, .version = held->version, .entry = common::EntryView{}};
  change.entry->expires_at_ms = Expiry(place, resource, out);
  change.renews = true;
  AddChange(place, change, resource.name.size() + resource.version.size());
  return {};
}

std::int64_t CutAssembler::Expiry(const Place& place, const ResourceView& resource,
                                  AssemblyOutcome& out) const {
  const auto ttl = ttls_.find(resource.name.data());
  const std::int64_t at = moment_.unix_ms + (ttl == ttls_.end() ? 0 : ttl->second);
  out.expiries.push_back({at, place.track->collection, std::string(place.key)});
  return at;
}

// Whether an entry of this copy counts now.
bool CutAssembler::Accepts(TrackedCopy& track, AssemblyOutcome& out) {
  if (track.phase == TrackedCopy::Phase::kByName) return true;
  if (server_ == Server::kUnknown && track.may_guess) server_ = Server::kForeign;
  if (server_ == Server::kForeign) BeginForeign(track, out);
  return track.phase != TrackedCopy::Phase::kAwaitBegin;
}

// A copy that is not added to is filled anew; what it had serves until the load's end.
void CutAssembler::BeginForeign(TrackedCopy& track, AssemblyOutcome& out) {
  if (track.phase == TrackedCopy::Phase::kLive || track.phase == TrackedCopy::Phase::kForeignLoad)
    return;
  if (std::exchange(track.denied, false)) out.steps.push_back(Step(track, Kind::kAllow, false));
  CacheStep begin = Step(track, Kind::kBeginLoad, false);
  begin.version = {kForeignEpoch, track.foreign_revision};
  out.steps.push_back(std::move(begin));
  track.phase = TrackedCopy::Phase::kForeignLoad;
  track.rejected.clear();
  track.loaded = !track.held.changes.empty();
  track.load_began = track.touched_at = moment_.now;
}

common::Version CutAssembler::NextForeign(TrackedCopy& track) {
  return {kForeignEpoch, ++track.foreign_revision};
}

common::MonotonicTime CutAssembler::EndOf(const TrackedCopy& track) const {
  return std::min(track.touched_at + options_.foreign_quiet,
                  track.load_began + kForeignQuietsMax * options_.foreign_quiet);
}

std::vector<CacheStep> CutAssembler::OnTime(common::MonotonicTime now) {
  std::vector<CacheStep> steps;
  for (auto& [collection, track] : tracks_) {
    if (track.phase != TrackedCopy::Phase::kForeignLoad || now < EndOf(track)) continue;
    track.complete = NextForeign(track);
    Complete(track, steps);
  }
  return steps;
}

std::optional<common::MonotonicTime> CutAssembler::due() const {
  std::optional<common::MonotonicTime> due;
  for (const auto& [collection, track] : tracks_) {
    if (track.phase != TrackedCopy::Phase::kForeignLoad) continue;
    due = std::min(due.value_or(EndOf(track)), EndOf(track));
  }
  return due;
}

}  // namespace agent
