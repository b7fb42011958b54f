#include "agent/xds/cut.h"

#include <algorithm>
#include <utility>

#include "agent/xds/response_check.h"
#include "common/digest.h"
#include "common/names.h"

namespace agent {
namespace {

using common::DeltaResponseView;
using common::ResourceView;
using Kind = CacheStep::Kind;

constexpr std::size_t kRejectedMax = 10;  // named in a NACK
constexpr std::size_t kFraming = 64;      // tags, lengths and the type of one resource, at most

bool HasError(const DeltaResponseView& view, std::string_view name) {
  return std::ranges::any_of(view.errors, [&](const auto& error) { return error.name == name; });
}

void Reject(std::string_view name, std::string_view why, AssemblyOutcome& out) {
  if (out.rejected.size() < kRejectedMax) out.rejected.push_back(fmt::format("{}: {}", name, why));
}

// What a foreign server calls a version, as a number of ours.
common::Version ForeignVersion(std::string_view text) {
  return {kForeignEpoch, common::EntryHash("", {}, text).low};
}

}  // namespace

std::optional<Denial> DenialOf(int code) {
  if (code == static_cast<int>(common::StatusCode::kNotFound)) return Denial::kNoDataset;
  if (code == static_cast<int>(common::StatusCode::kPermissionDenied)) return Denial::kNoPermission;
  return std::nullopt;
}

bool IsTributary(std::string_view identifier) {
  return identifier.starts_with(common::kControlPlaneIdentifier);
}

std::string ResumeVersion(const CopyState& copy) {
  if (copy.denial != Denial::kNone) return {};
  if (copy.loading) {
    if (!copy.load_cursor || !copy.load_cursor->last_key) return {};
    if (copy.load_cursor->epoch == kForeignEpoch) return {};
    return common::FormatCursor(*copy.load_cursor);
  }
  if (!copy.complete || copy.cursor.epoch == kForeignEpoch) return {};
  return common::FormatCursor({.epoch = copy.cursor.epoch, .revision = copy.cursor.revision});
}

void CutAssembler::Start() {
  tracks_.clear();
  by_name_.clear();
  server_ = Server::kUnknown;
  held_bytes_ = 0;
  last_ = nullptr;
}

void CutAssembler::Track(const CopyState& copy, Offer offer) {
  Untrack(copy.collection);
  TrackedCopy& track = tracks_[copy.collection];
  track.collection = copy.collection;
  track.entry_prefix = common::EntryName(copy.collection.dataset, "");
  track.denied = copy.denial != Denial::kNone;
  track.serves = copy.complete;
  track.may_guess = offer != Offer::kCursor;
  if (offer == Offer::kCursor) {
    track.phase = copy.loading ? TrackedCopy::Phase::kLoading : TrackedCopy::Phase::kLive;
  }
  if (offer == Offer::kVersions) track.phase = TrackedCopy::Phase::kLive;
  if (offer == Offer::kNames) track.phase = TrackedCopy::Phase::kByName;
  if (copy.complete && copy.cursor.epoch == kForeignEpoch) {
    track.foreign_revision = copy.cursor.revision;
  }
  by_name_[common::CollectionName(copy.collection)] = &track;
}

void CutAssembler::Untrack(const common::Collection& collection) {
  const auto it = tracks_.find(collection);
  if (it == tracks_.end()) return;
  DropHeld(it->second);
  by_name_.erase(common::CollectionName(collection));
  tracks_.erase(it);
  last_ = nullptr;
}

void CutAssembler::AwaitBegin(const common::Collection& collection) {
  const auto it = tracks_.find(collection);
  if (it == tracks_.end()) return;
  DropHeld(it->second);
  it->second.phase = TrackedCopy::Phase::kAwaitBegin;
  it->second.may_guess = false;  // late entries of the old subscription may come first
}

AssemblyOutcome CutAssembler::OnResponse(const DeltaResponseView& view,
                                         std::shared_ptr<const std::string> bytes,
                                         const Moment& moment) {
  AssemblyOutcome out;
  moment_ = moment;
  out.refused = FindFault(view);
  if (!out.refused.empty()) return out;
  if (IsTributary(view.control_plane)) server_ = Server::kMarkers;
  as_of_ = server_ == Server::kMarkers
               ? common::ParseVersion(view.system_version).value_or(common::Version{})
               : common::Version{};
  bytes_ = std::move(bytes);
  ttls_.clear();
  if (std::ranges::any_of(view.resources, &ResourceView::has_ttl)) ttls_ = FindTtls(*bytes_);
  TakeErrors(view, out);
  for (const ResourceView& resource : view.resources) TakeResource(resource, out);
  for (const std::string_view name : view.removed) TakeRemoval(view, name, out);
  Finish(view, out);
  bytes_.reset();
  return out;
}

void CutAssembler::TakeErrors(const DeltaResponseView& view, AssemblyOutcome& out) {
  for (const common::ResourceErrorView& error : view.errors) {
    const auto it = by_name_.find(error.name);
    const std::optional<Denial> denial = DenialOf(error.code);
    if (it == by_name_.end()) continue;
    TrackedCopy& track = *it->second;
    out.answered.push_back(track.collection);
    if (!denial) continue;                                     // transient: the copy is kept
    if (track.phase == TrackedCopy::Phase::kByName) continue;  // it did not ask for the collection
    DropHeld(track);
    CacheStep step = Step(track, Kind::kDeny, false);
    step.denial = *denial;
    out.steps.push_back(std::move(step));
    track.denied = true;
    track.staged = false;
    track.phase = TrackedCopy::Phase::kAwaitBegin;
  }
}

// Sets `key` either into the name itself or, when it had to be decoded, into decoded_.
CutAssembler::Place CutAssembler::Locate(std::string_view name) {
  if (last_ != nullptr && name.starts_with(last_->entry_prefix)) {
    const std::string_view key =
        common::KeyOfSegment(name.substr(last_->entry_prefix.size()), decoded_);
    const bool alone = last_->phase != TrackedCopy::Phase::kByName || tracks_.size() == 1;
    if (!key.empty() && alone && last_->collection.Covers(key)) {
      return {.track = last_, .key = key};
    }
  }
  const std::optional<common::EntryNameParts> parts = common::ParseEntryName(name);
  if (!parts) return {};
  if (parts->is_collection) {
    const auto it = tracks_.find(common::Collection{parts->dataset, parts->prefix});
    if (it == tracks_.end()) return {};
    return {.track = &it->second, .marker = true, .key = {}};
  }
  TrackedCopy* track = Covering(parts->dataset, parts->key);
  if (track == nullptr) return {};
  last_ = track;
  decoded_ = parts->key;
  return {.track = track, .key = decoded_};
}

// The most specific one. Copies of one kind are disjoint, so it is the first or the second that is
// looked at, unless a copy by name encloses many others.
CutAssembler::TrackedCopy* CutAssembler::Covering(const std::string& dataset,
                                                  std::string_view key) {
  auto it = tracks_.upper_bound(common::Collection{dataset, std::string(key)});
  while (it != tracks_.begin()) {
    --it;
    if (it->first.dataset != dataset) return nullptr;
    if (it->first.Covers(key)) return &it->second;
  }
  return nullptr;
}

bool CutAssembler::IsWanted(const Place& place) const {
  if (place.track->phase != TrackedCopy::Phase::kByName) return true;
  return !place.marker && moment_.wants(place.track->collection, place.key);
}

void CutAssembler::TakeResource(const ResourceView& resource, AssemblyOutcome& out) {
  const Place place = Locate(resource.name);
  if (place.track == nullptr) return TakeRun(resource, out);
  if (!IsWanted(place)) return;  // not asked for, or no longer: ignored
  place.track->touched = true;
  if (place.marker) {
    TakeMarker(*place.track, resource, out);
  } else {
    TakeEntry(place, resource, out);
  }
}

void CutAssembler::TakeMarker(TrackedCopy& track, const ResourceView& resource,
                              AssemblyOutcome& out) {
  if (TakeRepair(track, resource, out)) return;
  const std::optional<common::Marker> marker = common::ParseMarker(resource.version);
  if (!marker) return Reject(resource.name, "not a marker that this agent knows", out);
  server_ = Server::kMarkers;
  if (marker->kind == common::Marker::Kind::kComplete) {
    if (track.phase != TrackedCopy::Phase::kAwaitBegin) track.complete = marker->at;
    return;
  }
  DropHeld(track);
  if (std::exchange(track.denied, false)) out.steps.push_back(Step(track, Kind::kAllow, false));
  if (std::exchange(track.staged, false))
    out.steps.push_back(Step(track, Kind::kDropStaged, false));
  CacheStep begin = Step(track, Kind::kBeginLoad, false);
  begin.version = marker->at;
  out.steps.push_back(std::move(begin));
  track.phase = TrackedCopy::Phase::kLoading;
  track.buckets = 0;
  track.rejected.clear();
  track.complete.reset();
}

void CutAssembler::TakeEntry(const Place& place, const ResourceView& resource,
                             AssemblyOutcome& out) {
  const std::string why =
      resource.has_resource ? TryEntry(place, resource, out) : TryBare(place, resource, out);
  if (why.empty()) return;
  Reject(resource.name, why, out);
  if (out.rejected_keys.size() < kRejectedKeysMax) {
    out.rejected_keys.emplace_back(place.track->collection, place.key);
  }
  if (place.track->rejected.size() < kRejectedKeysMax) {
    place.track->rejected.emplace_back(place.key);
  }
}

// Why the resource is rejected; empty: it is not.
std::string CutAssembler::TryEntry(const Place& place, const ResourceView& resource,
                                   AssemblyOutcome& out) {
  const std::optional<common::Version> version = common::ParseVersion(resource.version);
  if (!version && server_ == Server::kMarkers) {
    return fmt::format("unknown version '{}'", resource.version);
  }
  if (!version) server_ = Server::kForeign;
  if (!Accepts(*place.track, out)) return {};
  Change change{.key = place.key,
                .version = version ? *version : ForeignVersion(resource.version),
                .entry = common::ParseEntryPayload(resource.payload)};
  if (!change.entry) return "not an encoded tributary.v1.Entry";
  if (change.entry->value.size() > common::kValueBytesMax) {
    return fmt::format("value has {} bytes, at most {} are allowed", change.entry->value.size(),
                       common::kValueBytesMax);
  }
  if (change.entry->content_type.size() > common::kContentTypeBytesMax) {
    return "content type too long";
  }
  if (!version && resource.version.size() <= kVersionTextBytesMax) {
    change.version_text = resource.version;
  }
  if (resource.has_ttl) change.entry->expires_at_ms = Expiry(place, resource, out);
  AddChange(place, change,
            resource.name.size() + resource.version.size() + resource.payload.size() + kFraming);
  return {};
}

void CutAssembler::TakeAbsence(const Place& place, std::string_view name, AssemblyOutcome& out) {
  place.track->touched = true;
  if (!Accepts(*place.track, out)) return;
  Change change{.key = place.key, .version = {}, .entry = {}};
  change.absent = place.track->phase == TrackedCopy::Phase::kByName;
  if (change.absent) change.version = as_of_;
  AddChange(place, change, name.size() + kFraming);
}

void CutAssembler::TakeRemoval(const DeltaResponseView& view, std::string_view name,
                               AssemblyOutcome& out) {
  const Place place = Locate(name);
  if (place.track == nullptr || !IsWanted(place)) return;
  if (!place.marker && HasError(view, name)) return;  // says more
  if (!place.marker) return TakeAbsence(place, name, out);
  if (HasError(view, name) || server_ == Server::kMarkers) return;
  // "The collection is empty", or "I do not know this name" with all members in chunks around it:
  // what is not sent again until silence is gone.
  server_ = Server::kForeign;
  TrackedCopy& track = *place.track;
  track.touched = true;
  if (track.phase == TrackedCopy::Phase::kLive) track.phase = TrackedCopy::Phase::kAwaitBegin;
  BeginForeign(track, out);
}

void CutAssembler::AddChange(const Place& place, const Change& change, std::size_t bytes) {
  ChangeBatch& held = place.track->held;
  if (held.buffers.empty() || held.buffers.back() != bytes_) held.buffers.push_back(bytes_);
  held.changes.push_back(change);
  if (place.key.data() == decoded_.data()) {
    held.changes.back().key = held.keys.Add(place.key);
  }
  held.bytes += bytes;
  held_bytes_ += bytes;
}

void CutAssembler::Finish(const DeltaResponseView& view, AssemblyOutcome& out) {
  const bool empty = view.resources.empty() && view.removed.empty() && view.errors.empty();
  if (empty && server_ != Server::kMarkers) {
    // A foreign server's way to say that there is nothing (more) to send.
    for (auto& [collection, track] : tracks_) {
      if (track.phase == TrackedCopy::Phase::kLive || track.denied) continue;
      if (track.phase == TrackedCopy::Phase::kByName) continue;
      server_ = Server::kForeign;
      track.touched = true;
      BeginForeign(track, out);
    }
  }
  for (auto& [collection, track] : tracks_) {
    if (!std::exchange(track.touched, false)) continue;
    out.answered.push_back(collection);
    FinishTrack(track, out.steps);
  }
  if (held_bytes_ > common::kApplyBytesMax) {
    for (auto& [collection, track] : tracks_) SpillTrack(track, out.steps);
  }
}

void CutAssembler::FinishTrack(TrackedCopy& track, std::vector<CacheStep>& steps) {
  if (track.repair) BeginRepair(track, steps);
  if (track.phase == TrackedCopy::Phase::kByName) {
    if (!track.held.changes.empty()) steps.push_back(Step(track, Kind::kApplyNames, true));
    return;
  }
  if (server_ == Server::kForeign && track.phase == TrackedCopy::Phase::kLive) {
    track.complete = NextForeign(track);
  }
  if (track.phase == TrackedCopy::Phase::kForeignLoad && !track.complete) {
    track.touched_at = moment_.now;
    track.loaded |= !track.held.changes.empty();
    // Nothing was there and nothing came: it is empty. Else more may come, or may be missing.
    if (!track.loaded && !track.serves) track.complete = NextForeign(track);
    if (!track.complete) return SpillTrack(track, steps);
  }
  if (track.complete) {
    Complete(track, steps);
  } else if (track.phase == TrackedCopy::Phase::kLoading && track.held.bytes >= kLoadBytes) {
    SpillTrack(track, steps);
  }
}

// A reload must not lose the last good value of what it could not take.
void CutAssembler::Complete(TrackedCopy& track, std::vector<CacheStep>& steps) {
  if (track.phase != TrackedCopy::Phase::kLive && !track.rejected.empty()) {
    CacheStep keep = Step(track, Kind::kKeep, false);
    keep.keys = std::move(track.rejected);
    steps.push_back(std::move(keep));
  }
  track.rejected.clear();
  CacheStep apply = Step(track, Kind::kApply, true);
  apply.version = *std::exchange(track.complete, std::nullopt);
  steps.push_back(std::move(apply));
  track.phase = TrackedCopy::Phase::kLive;
  track.staged = false;
  track.serves = true;
}

void CutAssembler::DropHeld(TrackedCopy& track) {
  held_bytes_ -= track.held.bytes;
  track.held = {};
  track.complete.reset();
}

CacheStep CutAssembler::Step(TrackedCopy& track, CacheStep::Kind kind, bool with_held) {
  CacheStep step;
  step.kind = kind;
  step.collection = track.collection;
  if (with_held) {
    held_bytes_ -= track.held.bytes;
    step.batch = std::exchange(track.held, {});
  }
  return step;
}

void CutAssembler::SpillTrack(TrackedCopy& track, std::vector<CacheStep>& steps) {
  if (track.held.changes.empty()) return;
  const bool load = track.phase != TrackedCopy::Phase::kLive;
  steps.push_back(Step(track, load ? Kind::kLoad : Kind::kStage, true));
  if (!load) track.staged = true;
}

std::vector<CacheStep> CutAssembler::Spill() {
  std::vector<CacheStep> steps;
  for (auto& [collection, track] : tracks_) SpillTrack(track, steps);
  return steps;
}

}  // namespace agent
