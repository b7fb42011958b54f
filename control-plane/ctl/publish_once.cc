#include "control-plane/ctl/publish_once.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "common/rpc/status.h"
#include "tributary/v1/publisher.grpc.pb.h"

namespace ctl {

std::string NewPublisherId() {
  std::random_device random;
  return fmt::format("ctl-{:08x}{:08x}{:08x}", random(), random(), random());
}

StatusOr<tributary::v1::Result> PublishOnce(const Connection& connection,
                                            tributary::v1::Batch batch) {
  tributary::v1::PublishRequest request;
  request.set_publisher_id(NewPublisherId());
  batch.set_sequence(1);
  *request.add_batches() = std::move(batch);
  request.set_forget(true);
  grpc::ClientContext context;
  connection.Prepare(context);
  const auto stub = tributary::v1::Publisher::NewStub(connection.channel());
  const auto stream = stub->Publish(&context);
  stream->Write(request);
  stream->WritesDone();
  tributary::v1::PublishResponse response;
  while (stream->Read(&response)) {
    if (response.results_size() == 0) continue;
    const tributary::v1::Result result = response.results(0);
    while (stream->Read(&response)) continue;
    stream->Finish();
    if (result.code() == 0) return result;
    return common::StatusOfCode(result.code(), result.message());
  }
  const grpc::Status status = stream->Finish();
  if (status.ok()) {
    return common::Error(common::StatusCode::kInternal,
                         "the control plane ended the stream without an answer");
  }
  return common::FromGrpc(status);
}

}  // namespace ctl
