#include "control-plane/admin/status_rows.h"

#include <chrono>

#include "common/names.h"
#include "control-plane/store/sums.h"

namespace cp {
std::int64_t MillisBetween(common::MonotonicTime from, common::MonotonicTime to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
}

void FillAgent(const AgentRow& row, common::MonotonicTime now, tributary::v1::AgentStatus& agent) {
  agent.set_service(row.service);
  agent.set_instance(row.instance);
  agent.set_peer(row.peer);
  agent.set_user_agent(row.user_agent);
  agent.set_connected_ms(MillisBetween(row.connected_since, now));
  agent.set_unacked_bytes(row.unacked_bytes);
}

void FillCopy(const CopyRow& row, common::MonotonicTime now, tributary::v1::CopyStatus& copy) {
  copy.set_service(row.service);
  copy.set_instance(row.instance);
  copy.set_dataset(row.dataset);
  copy.set_prefix(row.prefix);
  copy.set_state(row.state);
  copy.set_revision(row.revision);
  copy.set_head(row.head);
  copy.set_lag(row.head > row.revision ? row.head - row.revision : 0);
  copy.set_lag_ms(row.lag_ms);
  const bool proven = row.proven_at != common::MonotonicTime{};
  copy.set_age_ms(proven ? MillisBetween(row.proven_at, now) : -1);
  copy.set_digest(row.digest);
}

void FillDataset(const std::string& name, const std::string& owner,
                 const std::optional<DatasetState>& state, tributary::v1::DatasetStatus& dataset) {
  dataset.set_name(name);
  dataset.set_owner(owner);
  if (!state) return;
  dataset.set_revision(state->head);
  dataset.set_entries(state->entries);
  dataset.set_bytes(state->bytes);
  dataset.set_digest(common::FormatDigest(state->digest));
  dataset.set_floor(state->floor);
  dataset.set_tombstones(state->tombstones);
}

common::Status FillVerify(const Store& store, const tributary::v1::VerifyRequest& request,
                          tributary::v1::VerifyResponse& response) {
  const CatalogPtr catalog = store.catalog();
  const common::Dataset* const declared = catalog->FindDataset(request.dataset());
  if (declared == nullptr) {
    return common::Error(common::StatusCode::kNotFound, "Dataset {} is not declared",
                         request.dataset());
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.OpenView());
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(request.dataset()));
  response.set_epoch(common::FormatEpoch(store.epoch()));
  FillDataset(request.dataset(), declared->owner, state, *response.mutable_dataset());
  if (!state) return common::OkStatus();
  if (!request.key().empty()) {
    RETURN_IF_ERROR(common::ValidateKey(request.key()));
    ASSIGN_OR_RETURN(const std::optional<Stored> stored, view->Get(state->id, request.key()));
    if (stored) response.set_version(common::FormatVersion(stored->version));
    return common::OkStatus();
  }
  ASSIGN_OR_RETURN(const Sums sums, SumUp(*view, state->id, {}));
  response.set_entries(sums.entries);
  response.set_bytes(sums.bytes);
  response.set_digest(common::FormatDigest(sums.digest));
  return common::OkStatus();
}

void FillVerifyCopies(const HubStatus& hub, const tributary::v1::VerifyRequest& request,
                      common::MonotonicTime now, tributary::v1::VerifyResponse& response) {
  const auto version = common::ParseVersion(response.version());
  for (const CopyRow& row : hub.copies) {
    if (row.dataset != request.dataset()) continue;
    FillCopy(row, now, *response.add_copies());
    if (request.key().empty() || !request.key().starts_with(row.prefix)) continue;
    tributary::v1::KeyCopy& copy = *response.add_key_copies();
    copy.set_service(row.service);
    copy.set_instance(row.instance);
    copy.set_prefix(row.prefix);
    copy.set_revision(row.revision);
    // A complete copy holds each key as it was at its revision.
    const Revision needed = version ? version->revision : row.head;
    copy.set_holds(row.revision == 0 ? "unknown" : row.revision >= needed ? "current" : "older");
  }
}

}  // namespace cp
