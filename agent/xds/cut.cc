#include "agent/xds/cut.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/digest.h"
#include "common/names.h"

namespace agent {
namespace {

using common::DeltaResponseView;
using common::ResourceView;
using Kind = CacheStep::Kind;

constexpr std::size_t kRejectedMax = 10;  // named in a NACK
constexpr std::size_t kFraming = 64;      // tags, lengths and the type of one resource, at most

// Duplicates among the names, and between resources and removals. In-order names, as our own server
// sends them in loads, need no sorting.
std::optional<std::string_view> FindDuplicate(const DeltaResponseView& view) {
  std::vector<std::string_view> names;
  names.reserve(view.resources.size() + view.removed.size());
  for (const ResourceView& resource : view.resources) names.push_back(resource.name);
  for (const std::string_view removed : view.removed) names.push_back(removed);
  if (!std::ranges::is_sorted(names)) std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return std::nullopt;
  return *twice;
}

// Why the whole response must be rejected; empty: it need not.
std::string FindFault(const DeltaResponseView& view) {
  for (const ResourceView& resource : view.resources) {
    if (resource.has_resource && resource.type_url != common::kEntryType) {
      return fmt::format("resource '{}' is of type '{}' in a response of type '{}'", resource.name,
                         resource.type_url, view.type_url);
    }
  }
  if (const auto name = FindDuplicate(view)) {
    return fmt::format("resource '{}' occurs twice in one response", *name);
  }
  return {};
}

bool HasError(const DeltaResponseView& view, std::string_view name) {
  return std::ranges::any_of(view.errors, [&](const auto& error) { return error.name == name; });
}

std::optional<Denial> DenialOf(int code) {
  if (code == static_cast<int>(common::StatusCode::kNotFound)) return Denial::kNoDataset;
  if (code == static_cast<int>(common::StatusCode::kPermissionDenied)) return Denial::kNoPermission;
  return std::nullopt;
}

void Reject(std::string_view name, std::string_view why, AssemblyOutcome& out) {
  if (out.rejected.size() < kRejectedMax) out.rejected.push_back(fmt::format("{}: {}", name, why));
}

}  // namespace

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

void CutAssembler::Track(const CopyState& copy, bool sends_cursor) {
  Untrack(copy.collection);
  Track_& track = tracks_[copy.collection];
  track.collection = copy.collection;
  track.entry_prefix = common::EntryName(copy.collection.dataset, "");
  track.denied = copy.denial != Denial::kNone;
  track.may_guess = !sends_cursor;
  if (sends_cursor) track.phase = copy.loading ? Track_::Phase::kLoading : Track_::Phase::kLive;
  if (copy.complete && copy.cursor.epoch == kForeignEpoch) {
    track.phase = Track_::Phase::kLive;  // a foreign copy is added to; it never sends a cursor
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
  it->second.phase = Track_::Phase::kAwaitBegin;
  it->second.may_guess = false;  // late entries of the old subscription may come first
}

AssemblyOutcome CutAssembler::OnResponse(const DeltaResponseView& view,
                                         std::shared_ptr<const std::string> bytes) {
  AssemblyOutcome out;
  out.refused = FindFault(view);
  if (!out.refused.empty()) return out;
  if (view.control_plane.starts_with(common::kControlPlaneIdentifier)) server_ = Server::kMarkers;
  bytes_ = std::move(bytes);
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
    Track_& track = *it->second;
    out.answered.push_back(track.collection);
    if (!denial) continue;  // transient: the copy is kept
    DropHeld(track);
    CacheStep step = Step(track, Kind::kDeny, false);
    step.denial = *denial;
    out.steps.push_back(std::move(step));
    track.denied = true;
    track.staged = false;
    track.phase = Track_::Phase::kAwaitBegin;
  }
}

// Sets `key` either into the name itself or, when it had to be decoded, into decoded_.
CutAssembler::Place CutAssembler::Locate(std::string_view name) {
  if (last_ != nullptr && name.starts_with(last_->entry_prefix)) {
    const std::string_view segment = name.substr(last_->entry_prefix.size());
    const bool plain = !segment.empty() && segment[0] != '*' &&
                       segment.find_first_of("%/") == std::string_view::npos &&
                       segment.size() <= common::kKeyBytesMax;
    if (plain && last_->collection.Covers(segment)) return {.track = last_, .key = segment};
  }
  const std::optional<common::EntryNameParts> parts = common::ParseEntryName(name);
  if (!parts) return {};
  if (parts->is_collection) {
    const auto it = tracks_.find(common::Collection{parts->dataset, parts->prefix});
    if (it == tracks_.end()) return {};
    return {.track = &it->second, .marker = true, .key = {}};
  }
  Track_* track = Covering(parts->dataset, parts->key);
  if (track == nullptr) return {};
  last_ = track;
  decoded_ = parts->key;
  return {.track = track, .key = decoded_};
}

// Collections are disjoint: the greatest prefix not above the key is the only candidate.
CutAssembler::Track_* CutAssembler::Covering(const std::string& dataset, std::string_view key) {
  auto it = tracks_.upper_bound(common::Collection{dataset, std::string(key)});
  if (it == tracks_.begin()) return nullptr;
  --it;
  if (it->first.dataset != dataset || !it->first.Covers(key)) return nullptr;
  return &it->second;
}

void CutAssembler::TakeResource(const ResourceView& resource, AssemblyOutcome& out) {
  const Place place = Locate(resource.name);
  if (place.track == nullptr) return;  // not asked for, or no longer: ignored
  place.track->touched = true;
  if (place.marker) {
    TakeMarker(*place.track, resource, out);
  } else {
    TakeEntry(place, resource, out);
  }
}

void CutAssembler::TakeMarker(Track_& track, const ResourceView& resource, AssemblyOutcome& out) {
  const std::optional<common::Marker> marker = common::ParseMarker(resource.version);
  if (!marker) return Reject(resource.name, "not a marker that this agent knows", out);
  server_ = Server::kMarkers;
  if (marker->kind == common::Marker::Kind::kComplete) {
    if (track.phase != Track_::Phase::kAwaitBegin) track.complete = marker->at;
    return;
  }
  DropHeld(track);
  if (std::exchange(track.denied, false)) out.steps.push_back(Step(track, Kind::kAllow, false));
  if (std::exchange(track.staged, false))
    out.steps.push_back(Step(track, Kind::kDropStaged, false));
  CacheStep begin = Step(track, Kind::kBeginLoad, false);
  begin.version = marker->at;
  out.steps.push_back(std::move(begin));
  track.phase = Track_::Phase::kLoading;
  track.complete.reset();
}

void CutAssembler::TakeEntry(const Place& place, const ResourceView& resource,
                             AssemblyOutcome& out) {
  if (!resource.has_resource) {
    if (resource.version.empty()) return TakeAbsence(place, resource.name, out);
    return Reject(resource.name, "a resource without content, but no time to live was offered",
                  out);
  }
  std::optional<common::Version> version = common::ParseVersion(resource.version);
  if (!version && server_ == Server::kMarkers) {
    return Reject(resource.name, fmt::format("unknown version '{}'", resource.version), out);
  }
  if (!version) {
    server_ = Server::kForeign;
    version = common::Version{kForeignEpoch, common::EntryHash("", {}, resource.version).low};
  }
  if (!Accepts(*place.track, out)) return;
  const Change change{
      .key = place.key, .version = *version, .entry = common::ParseEntryPayload(resource.payload)};
  if (!change.entry) return Reject(resource.name, "not an encoded tributary.v1.Entry", out);
  if (change.entry->value.size() > common::kValueBytesMax) {
    return Reject(resource.name,
                  fmt::format("value has {} bytes, at most {} are allowed",
                              change.entry->value.size(), common::kValueBytesMax),
                  out);
  }
  if (change.entry->content_type.size() > common::kContentTypeBytesMax) {
    return Reject(resource.name, "content type too long", out);
  }
  AddChange(place, change,
            resource.name.size() + resource.version.size() + resource.payload.size() + kFraming);
}

void CutAssembler::TakeAbsence(const Place& place, std::string_view name, AssemblyOutcome& out) {
  place.track->touched = true;
  if (!Accepts(*place.track, out)) return;
  AddChange(place, {.key = place.key, .version = {}, .entry = {}}, name.size() + kFraming);
}

void CutAssembler::TakeRemoval(const DeltaResponseView& view, std::string_view name,
                               AssemblyOutcome& out) {
  const Place place = Locate(name);
  if (place.track == nullptr) return;
  if (!place.marker) return TakeAbsence(place, name, out);
  if (HasError(view, name) || server_ == Server::kMarkers) return;
  server_ = Server::kForeign;
  place.track->touched = true;
  BeginForeign(*place.track, out);  // a copy that has nothing yet is complete and empty
}

// Whether an entry of this copy counts now.
bool CutAssembler::Accepts(Track_& track, AssemblyOutcome& out) {
  if (server_ == Server::kUnknown && track.may_guess) server_ = Server::kForeign;
  if (server_ == Server::kForeign) BeginForeign(track, out);
  return track.phase != Track_::Phase::kAwaitBegin;
}

// A copy without complete content starts anew when a foreign server fills it.
void CutAssembler::BeginForeign(Track_& track, AssemblyOutcome& out) {
  if (track.phase == Track_::Phase::kLive) return;
  if (std::exchange(track.denied, false)) out.steps.push_back(Step(track, Kind::kAllow, false));
  CacheStep begin = Step(track, Kind::kBeginLoad, false);
  begin.version = {kForeignEpoch, track.foreign_revision};
  out.steps.push_back(std::move(begin));
  track.phase = Track_::Phase::kLive;
}

void CutAssembler::AddChange(const Place& place, const Change& change, std::size_t bytes) {
  ChangeBatch& held = place.track->held;
  if (held.buffers.empty() || held.buffers.back() != bytes_) held.buffers.push_back(bytes_);
  held.changes.push_back(change);
  if (place.key.data() == decoded_.data()) {
    held.changes.back().key = held.keys.emplace_back(place.key);
  }
  held.bytes += bytes;
  held_bytes_ += bytes;
}

void CutAssembler::Finish(const DeltaResponseView& view, AssemblyOutcome& out) {
  const bool empty = view.resources.empty() && view.removed.empty() && view.errors.empty();
  if (empty && server_ != Server::kMarkers) {
    // A foreign server's way to say that there is nothing (more) to send.
    for (auto& [collection, track] : tracks_) {
      if (track.phase != Track_::Phase::kAwaitBegin || track.denied) continue;
      server_ = Server::kForeign;
      track.touched = true;
      BeginForeign(track, out);
    }
  }
  for (auto& [collection, track] : tracks_) {
    if (!std::exchange(track.touched, false)) continue;
    out.answered.push_back(collection);
    FinishTrack(track, out);
  }
  if (held_bytes_ > common::kApplyBytesMax) {
    for (auto& [collection, track] : tracks_) SpillTrack(track, out.steps);
  }
}

void CutAssembler::FinishTrack(Track_& track, AssemblyOutcome& out) {
  if (server_ == Server::kForeign && track.phase == Track_::Phase::kLive) {
    track.complete = common::Version{kForeignEpoch, ++track.foreign_revision};
  }
  if (track.complete) {
    CacheStep apply = Step(track, Kind::kApply, true);
    apply.version = *std::exchange(track.complete, std::nullopt);
    out.steps.push_back(std::move(apply));
    track.phase = Track_::Phase::kLive;
    track.staged = false;
  } else if (track.phase == Track_::Phase::kLoading && track.held.bytes >= kLoadBytes) {
    SpillTrack(track, out.steps);
  }
}

void CutAssembler::DropHeld(Track_& track) {
  held_bytes_ -= track.held.bytes;
  track.held = {};
  track.complete.reset();
}

CacheStep CutAssembler::Step(Track_& track, CacheStep::Kind kind, bool with_held) {
  CacheStep step;
  step.kind = kind;
  step.collection = track.collection;
  if (with_held) {
    held_bytes_ -= track.held.bytes;
    step.batch = std::exchange(track.held, {});
  }
  return step;
}

void CutAssembler::SpillTrack(Track_& track, std::vector<CacheStep>& steps) {
  if (track.held.changes.empty()) return;
  const bool load = track.phase == Track_::Phase::kLoading;
  steps.push_back(Step(track, load ? Kind::kLoad : Kind::kStage, true));
  if (!load) track.staged = true;
}

std::vector<CacheStep> CutAssembler::Spill() {
  std::vector<CacheStep> steps;
  for (auto& [collection, track] : tracks_) SpillTrack(track, steps);
  return steps;
}

}  // namespace agent
