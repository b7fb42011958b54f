#include "control-plane/stream/delta_stream.h"

#include <memory>
#include <utility>
#include <vector>

#include "common/rpc/status.h"
#include "common/xds_limits.h"
#include "control-plane/stream/hub_thread.h"

namespace cp {
namespace {

// Below this a copy is cheaper than a reference.
constexpr std::size_t kCopyBytesMax = 512;

grpc::Slice ToSlice(const SharedBytes& piece) {
  if (piece->size() <= kCopyBytesMax) return grpc::Slice(*piece);
  auto* const kept = new SharedBytes(piece);
  return grpc::Slice(
      const_cast<char*>(piece->data()), piece->size(),
      [](void* shared) { delete static_cast<SharedBytes*>(shared); }, kept);
}

}  // namespace

grpc::ByteBuffer ToByteBuffer(const Response& response) {
  std::vector<grpc::Slice> slices;
  slices.reserve(response.pieces.size());
  for (const SharedBytes& piece : response.pieces) slices.push_back(ToSlice(piece));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

void DeltaStream::Write(const Response& response) {
  if (ended_) return;
  response_ = ToByteBuffer(response);
  StartWrite(&response_);
}

void DeltaStream::End(const common::Status& status) {
  if (std::exchange(ended_, true)) return;
  Finish(common::ToGrpc(status));
}

void DeltaStream::OnReadDone(bool ok) {
  if (!ok) return hub_.PostEnd(id_, common::OkStatus());  // the client has said all it wanted to
  hub_.PostRequest(id_, TakeRequest());
}

common::StatusOr<Request> DeltaStream::TakeRequest() {
  const std::size_t bytes = request_.Length();
  std::shared_ptr<void> charge;
  if (bytes > common::kRequestBytesUncounted) {
    charge = hub_.requests().Take(bytes);
    if (charge == nullptr) {
      request_.Clear();
      return common::Error(common::StatusCode::kUnavailable,
                           "{} bytes of requests are being dealt with, all that this control plane "
                           "takes at a time: try again",
                           common::kRequestsBytesMax);
    }
  }
  grpc::Slice slice;
  const bool readable =
      request_.TrySingleSlice(&slice).ok() || request_.DumpToSingleSlice(&slice).ok();
  request_.Clear();
  if (!readable) return common::InvalidArgument("unreadable request");
  return ParseRequest(variant_, {reinterpret_cast<const char*>(slice.begin()), slice.size()},
                      std::move(charge));
}

void DeltaStream::OnWriteDone(bool ok) { hub_.PostWriteDone(id_, ok); }

void DeltaStream::OnCancel() {
  hub_.PostEnd(id_, common::Error(common::StatusCode::kCancelled, "cancelled by the client"));
}

void DeltaStream::OnDone() { hub_.PostClosed(id_); }

}  // namespace cp
