// SyncCore: freshness – answers to probes, digests, and the reloads that follow a mismatch.
#include <string>
#include <utility>

#include "agent/xds/sync_core.h"
#include "common/limits.h"

namespace agent {

using common::Collection;
using common::DeltaResponseView;
using common::ResourceView;

void SyncCore::OnStates(const DeltaResponseView& view) {
  std::vector<std::string> rejected;
  for (const ResourceView& resource : view.resources) {
    if (std::string why = OnState(resource); !why.empty()) {
      rejected.push_back(fmt::format("{}: {}", resource.name, why));
    }
  }
  for (const std::string_view name : view.removed) states_.OnAnswer(name);
  for (const common::ResourceErrorView& error : view.errors) {
    states_.OnAnswer(error.name);
    if (const auto dataset = common::ParseDatasetStateName(error.name)) {
      ReviewDenied(*dataset, DenialOf(error.code));
    }
  }
  Respond(view.type_url, AckOf(view.nonce, rejected));
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
  ReviewDenied(*dataset, Denial::kNone);
  std::string rejected;
  for (auto it = copies_.lower_bound(Collection{*dataset, ""});
       it != copies_.end() && it->first.dataset == *dataset; ++it) {
    Copy& copy = it->second;
    copy.proof.OnAnswer(*head, copy.by_name ? std::nullopt : asked, copy.cursor);
    if (copy.proof.proven_at()) copy.bridged = false;
    if (copy.by_name) continue;  // proven by its sentinel
    if (std::string why = CheckDigest(copy); !why.empty()) rejected = std::move(why);
  }
  return rejected;
}

// Compares the digest when the copy stands exactly at the head. Empty: equal, or cannot be
// compared.
std::string SyncCore::CheckDigest(Copy& copy) {
  const Collection& collection = copy.wanted.collection;
  if (!collection.prefix.empty() || !copy.cursor || copy.restart || copy.loading) return {};
  if (rejected_.CountOf(collection) != 0) return {};  // so it cannot be equal
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
  if (copy.by_name) return DenyByName(copy.wanted.collection, Denial::kNone);  // start from nothing
  assembler_.AwaitBegin(copy.wanted.collection);
  entries_.Restart(common::CollectionName(copy.wanted.collection));
}

void SyncCore::OnFault(const Collection& collection) {
  const auto it = copies_.find(collection);
  if (it == copies_.end() || it->second.faulted) return;
  log_.Error("a checksum failed, the copy is loaded again",
             {{"collection", common::CollectionName(collection)}});
  it->second.faulted = true;
  ++totals_.checksum_faults;
  it->second.proof.Forget();
  Restart(it->second);
  Flush();
}

}  // namespace agent
