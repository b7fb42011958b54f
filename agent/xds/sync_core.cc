#include "agent/xds/sync_core.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"

namespace agent {
namespace {

using common::Collection;
using common::DeltaRequest;
using common::DeltaResponseView;
using common::ErrorDetail;
using common::ResourceView;
using common::Status;
using Kind = CacheStep::Kind;

constexpr std::string_view kMetaDeclared = "subscriptions";
ErrorDetail Invalid(std::string message) {
  return {.code = static_cast<int>(common::StatusCode::kInvalidArgument),
          .message = std::move(message)};
}

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text.append(text.empty() ? "" : "; ").append(part);
  return text;
}

std::string NoVersion(const std::string&) { return {}; }

}  // namespace

SyncCore::SyncCore(SyncOptions options, const common::Clock& clock, Writer& writer,
                   StatusBoard& board, RequestSink& sink, common::Log& log)
    : options_(std::move(options)),
      clock_(clock),
      writer_(writer),
      board_(board),
      sink_(sink),
      log_(log),
      fail_limiter_(clock),
      nack_limiter_(clock),
      reach_limiter_(clock),
      subscriptions_(std::string(common::kSubscriptionType)),
      states_(std::string(common::kDatasetStateType)),
      entries_(std::string(common::kEntryType)) {
  totals_.service = options_.service;
  subscriptions_.Want(common::SubscriptionName(options_.service, "*"));
}

Status SyncCore::Start() {
  ASSIGN_OR_RETURN(const std::string kept, writer_.GetMeta(kMetaDeclared));
  if (!kept.empty()) {
    ASSIGN_OR_RETURN(declared_, DecodeDeclared(kept));
    wanted_known_ = true;
  }
  RETURN_IF_ERROR(AdoptWanted());
  PublishStatus();
  return common::OkStatus();
}

// --- what to carry ------------------------------------------------------------------------------

Status SyncCore::AdoptWanted() {
  std::vector<common::Subscription> all = options_.subscribe;
  for (const auto& [name, resource] : declared_) {
    auto parsed = ParseSubscriptionPayload(resource.payload);
    if (parsed.ok()) all.push_back(*std::move(parsed));
  }
  const Wanted wanted = ReduceWanted(all);
  ReadThrough(wanted.read_through);
  RETURN_IF_ERROR(RemoveUnwanted(wanted));
  for (const WantedCopy& copy : wanted.copies) RETURN_IF_ERROR(AddCopy(copy));
  read_through_ = wanted.read_through;
  WarnUnsupported(wanted);
  status_dirty_ = true;
  return common::OkStatus();
}

Status SyncCore::RemoveUnwanted(const Wanted& wanted) {
  for (const CopyState& held : writer_.Copies()) {
    const auto same = [&](const WantedCopy& copy) { return copy.collection == held.collection; };
    if (std::ranges::any_of(wanted.copies, same)) continue;
    entries_.Drop(common::CollectionName(held.collection));
    assembler_.Untrack(held.collection);
    copies_.erase(held.collection);
    RETURN_IF_ERROR(writer_.Remove(held.collection));
    log_.Info("copy dropped", {{"collection", common::CollectionName(held.collection)}});
    const auto of_dataset = [&](const WantedCopy& copy) {
      return copy.collection.dataset == held.collection.dataset;
    };
    if (std::ranges::any_of(wanted.copies, of_dataset)) continue;
    states_.Drop(common::DatasetStateName(held.collection.dataset));
  }
  return common::OkStatus();
}

Status SyncCore::AddCopy(const WantedCopy& wanted) {
  const auto known = copies_.find(wanted.collection);
  if (known != copies_.end()) {
    known->second.wanted = wanted;
    return common::OkStatus();
  }
  RETURN_IF_ERROR(writer_.Add(wanted.collection));
  const std::uint64_t seed = static_cast<std::uint64_t>(clock_.UnixMillis());
  Copy copy{.wanted = wanted,
            .proof = {},
            .bridged = IsReadThrough(wanted.collection),
            .cursor = {},
            .since = clock_.Now(),
            .restart_backoff = {common::kReloadBackoffMin, common::kReloadBackoffMax, seed},
            .note = {}};
  for (const CopyState& state : writer_.Copies()) {
    if (state.collection != wanted.collection) continue;
    if (state.complete) copy.cursor = state.cursor;
    copy.loading = state.loading;
    // Initial versions count in the first request of a stream only.
    const bool offered = opened_ && !entries_.opened() && !ResumeVersion(state).empty();
    if (opened_) assembler_.Track(state, offered);
  }
  copies_.emplace(wanted.collection, std::move(copy));
  entries_.Want(common::CollectionName(wanted.collection));
  states_.Want(common::DatasetStateName(wanted.collection.dataset));
  return common::OkStatus();
}

void SyncCore::WarnUnsupported(const Wanted& wanted) {
  if (wanted.unsupported != unsupported_) {
    for (const WantedCopy& copy : wanted.unsupported) {
      log_.Warn("mode not supported yet",
                {{"dataset", copy.collection.dataset}, {"mode", common::ModeName(copy.mode)}});
    }
  }
  unsupported_ = wanted.unsupported;
  if (wanted.beyond_limit.empty()) return;
  log_.Error("too many subscriptions, some are left out",
             {{"copies_max", common::kCopiesMax}, {"left_out", wanted.beyond_limit.size()}});
}

SyncCore::Copy* SyncCore::FindCopy(std::string_view collection_name) {
  const auto parts = common::ParseEntryName(collection_name);
  if (!parts || !parts->is_collection) return nullptr;
  const auto it = copies_.find(Collection{parts->dataset, parts->prefix});
  return it == copies_.end() ? nullptr : &it->second;
}

// --- the stream ---------------------------------------------------------------------------------

void SyncCore::OnConnecting(const std::string& address) {
  totals_.control_plane = address;
  status_dirty_ = true;
}

void SyncCore::OnOpened() {
  opened_ = true;
  failed_ = proved_ = node_sent_ = false;
  status_dirty_ = true;
  entry_acks_.clear();
  subscriptions_.OnStreamOpened();
  states_.OnStreamOpened();
  entries_.OnStreamOpened();
  assembler_.Start();
  if (const Status adopted = AdoptWanted(); !adopted.ok()) return Fail(adopted);
  for (const CopyState& state : writer_.Copies()) {
    Copy& copy = copies_.at(state.collection);
    copy.restart_asked = copy.restart;  // offering no cursor asks for it
    assembler_.Track(state, !copy.restart && !ResumeVersion(state).empty());
  }
  next_probe_ = clock_.Now() + options_.freshness_interval;
  Flush();
}

void SyncCore::OnClosed(const Status& why) {
  if (totals_.connected) {
    log_.Warn("disconnected", {{"address", totals_.control_plane}, {"reason", why}});
    ++totals_.reconnects;
  } else {
    log_.Warn(reach_limiter_, "control plane not reached",
              {{"address", totals_.control_plane}, {"reason", why}});
  }
  opened_ = false;
  totals_.connected = false;
  status_dirty_ = true;
  entry_acks_.clear();
  assembler_.Start();
  for (auto& [collection, copy] : copies_) {
    if (copy.staged && writer_.DropStaged(collection).ok()) copy.staged = false;
  }
  PublishStatus();
}

void SyncCore::Fail(const Status& status) {
  totals_.apply_error = std::string(common::Message(status));
  failed_ = true;
  status_dirty_ = true;
  if (const auto held_back = fail_limiter_.Admit()) {
    log_.Error("applying has stopped, reads go on; will try again",
               {{"reason", status}, {"held_back", *held_back}});
  }
  sink_.Close(status);
}

void SyncCore::OnResponse(std::shared_ptr<const std::string> bytes) {
  if (!opened_ || failed_) return;
  totals_.bytes_in += bytes->size();
  ++totals_.responses;
  DeltaResponseView view;
  if (const Status decoded = common::DecodeDeltaResponse(*bytes, view); !decoded.ok()) {
    failed_ = true;
    log_.Error("response cannot be read", {{"reason", decoded}});
    return sink_.Close(decoded);
  }
  if (view.type_url == common::kSubscriptionType) {
    OnSubscriptions(view);
  } else if (view.type_url == common::kDatasetStateType) {
    OnStates(view);
  } else if (view.type_url == common::kEntryType) {
    OnEntries(view, bytes);  // not moved: `view` points into it, here as well
  } else {
    Respond(view.type_url, {.nonce = std::string(view.nonce), .error = {}});  // never asked for
  }
  if (failed_) return;
  proved_ = true;
  if (!std::exchange(totals_.connected, true)) {
    log_.Info("connected", {{"address", totals_.control_plane}, {"server", view.control_plane}});
  }
  status_dirty_ = true;
  Flush();
}

void SyncCore::Respond(std::string_view type_url, const Ack& ack) {
  DeltaRequest request;
  request.type_url = std::string(type_url);
  request.nonce = ack.nonce;
  request.error = ack.error;
  if (ack.error) {
    ++totals_.nacks;
    log_.Warn(nack_limiter_, "response rejected",
              {{"type", type_url}, {"reason", ack.error->message}});
  }
  Send(std::move(request));
}

void SyncCore::Send(DeltaRequest request) {
  if (!std::exchange(node_sent_, true)) {
    request.node = common::NodeInfo{.id = options_.service,
                                    .cluster = options_.service,
                                    .user_agent = options_.user_agent,
                                    .instance = options_.instance,
                                    .features = {std::string(kCursorFeature)}};
  }
  sink_.Send(request);
}

void SyncCore::Flush() {
  if (!opened_ || failed_) return;
  const common::MonotonicTime now = clock_.Now();
  const bool first = !subscriptions_.opened();
  while (auto request = subscriptions_.Next(now, NoVersion)) {
    if (first) {
      for (const auto& [name, resource] : declared_) {
        request->initial_versions.emplace_back(name, resource.version);
      }
    }
    Send(*std::move(request));
  }
  while (auto request = states_.Next(now, NoVersion)) Send(*std::move(request));
  std::vector<CopyState> held;
  if (!entries_.opened()) held = writer_.Copies();
  const auto held_version = [&](const std::string& name) {
    for (const CopyState& state : held) {
      if (common::CollectionName(state.collection) != name) continue;
      return copies_.at(state.collection).restart ? std::string() : ResumeVersion(state);
    }
    return std::string();
  };
  while (auto request = entries_.Next(now, held_version)) Send(*std::move(request));
}

// --- subscriptions ------------------------------------------------------------------------------

void SyncCore::OnSubscriptions(const DeltaResponseView& view) {
  const std::string prefix = common::SubscriptionName(options_.service, "");
  DeclaredResources next = declared_;
  std::vector<std::string> rejected;
  for (const std::string_view name : view.removed) next.erase(std::string(name));
  for (const ResourceView& resource : view.resources) {
    if (!resource.name.starts_with(prefix)) continue;  // not ours
    const auto parsed = ParseSubscriptionPayload(resource.payload);
    if (!parsed.ok() || resource.type_url != view.type_url) {
      rejected.push_back(fmt::format("{}: {}", resource.name, common::Message(parsed.status())));
      continue;
    }
    next[std::string(resource.name)] = {std::string(resource.version),
                                        std::string(resource.payload)};
  }
  subscriptions_.OnAnswer(common::SubscriptionName(options_.service, "*"));
  Ack ack{.nonce = std::string(view.nonce), .error = {}};
  if (!rejected.empty()) ack.error = Invalid(Join(rejected));
  declared_ = std::move(next);
  Status kept = writer_.SetMeta(kMetaDeclared, EncodeDeclared(declared_));
  if (kept.ok()) kept = AdoptWanted();
  if (!kept.ok()) return Fail(kept);
  wanted_known_ = true;
  Respond(view.type_url, ack);
}

// --- freshness ----------------------------------------------------------------------------------

void SyncCore::OnStates(const DeltaResponseView& view) {
  std::vector<std::string> rejected;
  for (const ResourceView& resource : view.resources) {
    if (std::string why = OnState(resource); !why.empty()) {
      rejected.push_back(fmt::format("{}: {}", resource.name, why));
    }
  }
  for (const std::string_view name : view.removed) states_.OnAnswer(name);
  for (const common::ResourceErrorView& error : view.errors) states_.OnAnswer(error.name);
  Ack ack{.nonce = std::string(view.nonce), .error = {}};
  if (!rejected.empty()) ack.error = Invalid(Join(rejected));
  Respond(view.type_url, ack);
}

// Empty, or why the resource is rejected.
std::string SyncCore::OnState(const ResourceView& resource) {
  const auto dataset = common::ParseDatasetStateName(resource.name);
  if (!dataset || !states_.wants(resource.name)) return {};
  const auto head = ParseDatasetState(resource.payload);
  if (!head.ok()) return std::string(common::Message(head.status()));
  const std::optional<common::MonotonicTime> asked = states_.asked_at(resource.name);
  states_.OnAnswer(resource.name);
  if (asked) board_.control_plane_clock.OnAnswer(*asked, clock_.Now(), head->server_time_ms);
  std::string rejected;
  for (auto it = copies_.lower_bound(Collection{*dataset, ""});
       it != copies_.end() && it->first.dataset == *dataset; ++it) {
    Copy& copy = it->second;
    copy.proof.OnAnswer(*head, asked, copy.cursor);
    if (copy.proof.proven_at()) copy.bridged = false;
    if (std::string why = CheckDigest(copy); !why.empty()) rejected = std::move(why);
  }
  return rejected;
}

// Compares the digest when the copy stands exactly at the head. Empty: equal, or cannot be
// compared.
std::string SyncCore::CheckDigest(Copy& copy) {
  const Collection& collection = copy.wanted.collection;
  if (!collection.prefix.empty() || !copy.cursor || copy.restart || copy.loading) return {};
  if (!copy.proof.ComparableAt(*copy.cursor)) return {};
  const DatasetHead& head = *copy.proof.head();
  for (const CopyState& state : writer_.Copies()) {
    if (state.collection != collection || state.cursor != head.version) continue;
    if (state.digest == head.digest) {
      copy.verified_at_ms = clock_.UnixMillis();
      copy.restart_backoff.Reset();
      copy.mismatch = false;
      return {};
    }
    std::string why = fmt::format(
        "digest mismatch at revision {}: the copy has {} ({} entries), the dataset {} ({} entries)",
        head.version.revision, common::FormatDigest(state.digest), state.entries,
        common::FormatDigest(head.digest), head.entries);
    log_.Error("digest mismatch, the copy is loaded again",
               {{"dataset", collection.dataset}, {"reason", why}});
    ++totals_.digest_mismatches;
    copy.mismatch = true;
    copy.proof.Forget();
    Restart(copy);
    return why;
  }
  return {};
}

// Subscribes the collection anew, without a cursor; repeated reloads keep a growing distance.
void SyncCore::Restart(Copy& copy) {
  copy.restart = true;
  status_dirty_ = true;
  if (!opened_ || copy.restart_asked) return;
  const common::MonotonicTime now = clock_.Now();
  if (now < copy.restart_after) return;  // Tick does it
  copy.restart_after = now + copy.restart_backoff.Next();
  copy.restart_asked = true;
  assembler_.AwaitBegin(copy.wanted.collection);
  entries_.Restart(common::CollectionName(copy.wanted.collection));
}

void SyncCore::OnFault(const Collection& collection) {
  const auto it = copies_.find(collection);
  if (it == copies_.end() || it->second.faulted) return;
  log_.Error("a checksum failed, the copy is loaded again",
             {{"collection", common::CollectionName(collection)}});
  it->second.faulted = true;
  it->second.proof.Forget();
  Restart(it->second);
  Flush();
}

}  // namespace agent
