#include "control-plane/admin/reader_service.h"

#include <utility>

#include "common/limits.h"
#include "common/rpc/status.h"

namespace cp {
namespace {

using common::OkStatus;
using tributary::v1::ReadEntry;
using tributary::v1::ScanResponse;

// False: it has expired, and is not filled.
bool Fill(const Stored& stored, std::int64_t now_ms, ReadEntry& entry) {
  const common::EntryView view = common::EntryOfResource(stored.resource);
  if (HasExpired(view, now_ms)) return false;
  entry.set_found(true);
  entry.set_value(std::string(view.value));
  entry.set_revision(stored.version.revision);
  entry.set_published_at_ms(view.published_at_ms);
  entry.set_content_type(std::string(view.content_type));
  entry.set_expires_at_ms(view.expires_at_ms);
  entry.set_epoch(common::FormatEpoch(stored.version.epoch));
  return true;
}

common::Status GetAll(const Store& store, std::int64_t now_ms,
                      const tributary::v1::GetRequest& request,
                      tributary::v1::GetResponse& response) {
  if (static_cast<std::size_t>(request.keys_size()) > common::kReaderKeysMax) {
    return common::InvalidArgument("{} keys in one read, at most {} are allowed",
                                   request.keys_size(), common::kReaderKeysMax);
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.OpenView());
  ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(request.dataset()));
  response.set_epoch(common::FormatEpoch(store.epoch()));
  response.set_head(state ? state->head : 0);
  std::size_t bytes = 0;
  for (const std::string& key : request.keys()) {
    ReadEntry& entry = *response.add_entries();
    entry.set_key(key);
    RETURN_IF_ERROR(common::ValidateKey(key));
    if (!state) continue;
    ASSIGN_OR_RETURN(const std::optional<Stored> stored, view->Get(state->id, key));
    if (stored) (void)Fill(*stored, now_ms, entry);
    bytes += entry.value().size() + key.size();
    if (bytes > common::kReaderBytesMax) {
      return absl::OutOfRangeError("the values are too big for one read; ask for fewer keys");
    }
  }
  return OkStatus();
}

// Streams a dataset in messages of about 1 MiB, each from a view of its own, so that a slow reader
// does not keep old pages alive. Deletes itself when gRPC is done with it.
class ScanReactor final : public grpc::ServerWriteReactor<ScanResponse> {
 public:
  ScanReactor(const Store& store, const common::Clock& clock, tributary::v1::ScanRequest request)
      : store_(store),
        clock_(clock),
        request_(std::move(request)),
        left_(request_.limit() == 0 ? UINT64_MAX : request_.limit()) {
    Continue();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish({grpc::StatusCode::CANCELLED, "the reader went away"});
    Continue();
  }
  void OnDone() override { delete this; }

 private:
  void Continue() {
    message_.Clear();
    const common::Status status = FillMessage();
    if (!status.ok()) return Finish(common::ToGrpc(status));
    if (message_.entries_size() == 0) return Finish(grpc::Status::OK);
    StartWrite(&message_);
  }

  common::Status FillMessage() {
    ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store_.OpenView());
    ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(request_.dataset()));
    if (!state || left_ == 0) return OkStatus();
    std::size_t bytes = 0;
    const std::int64_t now_ms = clock_.UnixMillis();
    return view->ScanEntries(state->id, request_.prefix(), after_, [&](const Stored& stored) {
      after_.assign(stored.key);
      ReadEntry& entry = *message_.add_entries();
      entry.set_key(std::string(stored.key));
      if (!Fill(stored, now_ms, entry)) {
        message_.mutable_entries()->RemoveLast();
        return true;
      }
      bytes += stored.resource.size();
      return --left_ > 0 && bytes < common::kResponseBytesTarget;
    });
  }

  const Store& store_;
  const common::Clock& clock_;
  const tributary::v1::ScanRequest request_;
  std::uint64_t left_;
  std::string after_;
  ScanResponse message_;
};

class RefusedScan final : public grpc::ServerWriteReactor<ScanResponse> {
 public:
  explicit RefusedScan(const common::Status& status) { Finish(common::ToGrpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

ReaderService::ReaderService(common::Trust trust, const Store& store, const common::Clock& clock)
    : trust_(trust), store_(store), clock_(clock) {}

common::Status ReaderService::CheckMayRead(const grpc::CallbackServerContext& context,
                                           const std::string& dataset) const {
  ASSIGN_OR_RETURN(const std::string caller, common::CallIdentity(context, trust_));
  return store_.catalog()->CheckMayConsume(caller, dataset);
}

grpc::ServerUnaryReactor* ReaderService::Get(grpc::CallbackServerContext* context,
                                             const tributary::v1::GetRequest* request,
                                             tributary::v1::GetResponse* response) {
  common::Status status = CheckMayRead(*context, request->dataset());
  if (status.ok()) status = GetAll(store_, clock_.UnixMillis(), *request, *response);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(common::ToGrpc(status));
  return reactor;
}

grpc::ServerWriteReactor<ScanResponse>* ReaderService::Scan(
    grpc::CallbackServerContext* context, const tributary::v1::ScanRequest* request) {
  if (common::Status status = CheckMayRead(*context, request->dataset()); !status.ok()) {
    return new RefusedScan(status);
  }
  return new ScanReactor(store_, clock_, *request);
}

}  // namespace cp
