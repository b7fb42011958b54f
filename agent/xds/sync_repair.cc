// SyncCore: repair by digests – the answer to the control plane's question, and what becomes of a
// repair that does not come to its end.
#include <optional>
#include <utility>

#include "agent/xds/sync_core.h"
#include "common/buckets.h"

namespace agent {

using common::Collection;
using common::Status;

// Digests of a copy that is trusted; of another one none, so all of it is sent.
void SyncCore::AnswerQuestion(const Collection& collection, std::size_t buckets) {
  const Copy& copy = copies_.at(collection);
  BucketAnswer answer{.name = common::CollectionName(collection), .digests = {}};
  if (copy.cursor && !copy.restart && !copy.faulted && !copy.mismatch) {
    const auto own = writer_.Buckets(collection, buckets);
    if (!own.ok()) return Fail(own.status());
    answer.digests = own->Encode(collection);
  }
  log_.Info("control plane asks for digests",
            {{"collection", answer.name},
             {"buckets", buckets},
             {"answered", answer.digests.empty() ? "no" : "yes"}});
  bucket_answers_.push_back(std::move(answer));
}

// Each in a request of its own, since the digests belong to one name. It is subscribed already, so
// nothing else is said of it.
void SyncCore::SendBucketAnswers() {
  for (BucketAnswer& answer : std::exchange(bucket_answers_, {})) {
    entries_.Ask(answer.name);
    std::optional<common::DeltaRequest> request = entries_.Next(clock_.Now());
    if (!request) continue;  // no longer wanted
    request->initial_versions = std::move(answer.digests);
    Send(*std::move(request));
  }
}

// The generation under way is no load that could be continued: the old cursor is offered again.
Status SyncCore::DropRepairs() {
  for (const CopyState& state : writer_.Copies()) {
    if (!state.repairing) continue;
    RETURN_IF_ERROR(writer_.DropLoad(state.collection));
    if (const auto it = copies_.find(state.collection); it != copies_.end()) {
      it->second.loading = false;
    }
  }
  return common::OkStatus();
}

}  // namespace agent
