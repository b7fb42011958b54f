#include "control-plane/stream/delta_stream.h"

#include <utility>
#include <vector>

#include "common/delta_codec.h"
#include "common/rpc/status.h"
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

common::StatusOr<common::DeltaRequest> Decode(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.TrySingleSlice(&slice).ok() && !buffer.DumpToSingleSlice(&slice).ok()) {
    return common::InvalidArgument("unreadable request");
  }
  return common::DecodeDeltaRequest({reinterpret_cast<const char*>(slice.begin()), slice.size()});
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
  common::StatusOr<common::DeltaRequest> request = Decode(request_);
  request_.Clear();
  hub_.PostRequest(id_, std::move(request));
}

void DeltaStream::OnWriteDone(bool ok) { hub_.PostWriteDone(id_, ok); }

void DeltaStream::OnCancel() {
  hub_.PostEnd(id_, common::Error(common::StatusCode::kCancelled, "cancelled by the client"));
}

void DeltaStream::OnDone() { hub_.PostClosed(id_); }

}  // namespace cp
