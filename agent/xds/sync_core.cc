#include "agent/xds/sync_core.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"

namespace agent {
namespace {

using common::Collection;
using common::DeltaResponseView;
using common::ResourceView;
using common::Status;

constexpr std::string_view kMetaDeclared = "subscriptions";

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
      overdue_limiter_(clock),
      subscriptions_(std::string(common::kSubscriptionType)),
      states_(std::string(common::kDatasetStateType)),
      entries_(std::string(common::kEntryType)),
      assembler_({.foreign_quiet = options_.foreign_quiet}),
      demand_(options_.on_demand, writer.sketch(),
              static_cast<std::uint64_t>(clock.UnixMillis())) {
  totals_.service = options_.service;
  subscriptions_.Want(common::SubscriptionName(options_.service, "*"));
}

Status SyncCore::Start() {
  ASSIGN_OR_RETURN(const std::string kept, writer_.GetMeta(kMetaDeclared));
  if (!kept.empty()) {
    ASSIGN_OR_RETURN(declared_, DecodeDeclared(kept));
    wanted_known_ = true;
  }
  RETURN_IF_ERROR(RecallServer());
  RETURN_IF_ERROR(RecallRejected());
  RETURN_IF_ERROR(AdoptWanted());
  RecallExpiries();
  if (writer_.erasure_pending()) erase_at_ = clock_.Now();  // a kill came in between
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
  ReadThrough(Bridges(wanted));
  RETURN_IF_ERROR(RemoveUnwanted(wanted));
  for (const WantedCopy& copy : wanted.copies) RETURN_IF_ERROR(AddCopy(copy));
  for (const WantedCopy& copy : wanted.by_name) RETURN_IF_ERROR(AddByName(copy));
  read_through_ = wanted.read_through;
  WarnUnsupported(wanted);
  status_dirty_ = true;
  return common::OkStatus();
}

Status SyncCore::RemoveUnwanted(const Wanted& wanted) {
  for (const CopyState& held : writer_.Copies()) {
    const auto same = [&](const WantedCopy& copy) { return copy.collection == held.collection; };
    const bool keep = held.by_name ? std::ranges::any_of(wanted.by_name, same)
                                   : std::ranges::any_of(wanted.copies, same);
    if (keep) continue;
    if (held.by_name) {
      DropByName(held.collection, common::Error(common::StatusCode::kFailedPrecondition,
                                                "the subscription has ended"));
    }
    entries_.Drop(common::CollectionName(held.collection));
    assembler_.Untrack(held.collection);
    copies_.erase(held.collection);
    RETURN_IF_ERROR(ForgetRejected(held.collection));
    RETURN_IF_ERROR(writer_.Remove(held.collection));
    ScheduleErasure();
    log_.Info("copy dropped", {{"collection", common::CollectionName(held.collection)}});
    const auto of_dataset = [&](const WantedCopy& copy) {
      return copy.collection.dataset == held.collection.dataset;
    };
    if (std::ranges::any_of(wanted.copies, of_dataset)) continue;
    if (std::ranges::any_of(wanted.by_name, of_dataset)) continue;
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
    // Initial versions count in the first request of a stream only, see OfferCopies.
    if (opened_ && entries_.opened()) assembler_.Track(state, CutAssembler::Offer::kNothing);
  }
  copies_.emplace(wanted.collection, std::move(copy));
  entries_.Want(common::CollectionName(wanted.collection));
  states_.Want(common::DatasetStateName(wanted.collection.dataset));
  return common::OkStatus();
}

void SyncCore::WarnUnsupported(const Wanted& wanted) {
  if (wanted.unsupported != unsupported_) {
    for (const WantedCopy& copy : wanted.unsupported) {
      log_.Error("too many subscriptions, this one is left out",
                 {{"collection", common::CollectionName(copy.collection)}});
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
  declared_ = std::move(next);
  Status kept = writer_.SetMeta(kMetaDeclared, EncodeDeclared(declared_));
  if (kept.ok()) kept = AdoptWanted();
  if (!kept.ok()) return Fail(kept);
  wanted_known_ = true;
  Respond(view.type_url, AckOf(view.nonce, rejected));
}

}  // namespace agent
