#include "control-plane/ctl/admin_calls.h"

#include "common/rpc/status.h"
#include "tributary/v1/admin.grpc.pb.h"

namespace ctl {

StatusOr<std::vector<Json>> ListObjects(const Connection& connection, const std::string& kind,
                                        const std::string& name) {
  tributary::v1::ListRequest request;
  request.set_kind(kind);
  request.set_name(name);
  tributary::v1::ListResponse response;
  grpc::ClientContext context;
  connection.Prepare(context);
  const grpc::Status status =
      tributary::v1::Admin::NewStub(connection.channel())->List(&context, request, &response);
  if (!status.ok()) return common::FromGrpc(status);
  if (!name.empty() && response.objects_size() == 0) {
    return common::Error(common::StatusCode::kNotFound, "{} {} is not declared", kind, name);
  }
  return ParseObjects({response.objects().begin(), response.objects().end()});
}

StatusOr<tributary::v1::StatusResponse> GetStatus(const Connection& connection,
                                                  const std::string& dataset) {
  tributary::v1::StatusRequest request;
  request.set_dataset(dataset);
  tributary::v1::StatusResponse response;
  grpc::ClientContext context;
  connection.Prepare(context);
  const grpc::Status status =
      tributary::v1::Admin::NewStub(connection.channel())->Status(&context, request, &response);
  if (!status.ok()) return common::FromGrpc(status);
  return response;
}

StatusOr<tributary::v1::VerifyResponse> GetVerified(const Connection& connection,
                                                    const std::string& dataset,
                                                    const std::string& key) {
  tributary::v1::VerifyRequest request;
  request.set_dataset(dataset);
  request.set_key(key);
  tributary::v1::VerifyResponse response;
  grpc::ClientContext context;
  connection.Prepare(context, false);
  const grpc::Status status =
      tributary::v1::Admin::NewStub(connection.channel())->Verify(&context, request, &response);
  if (!status.ok()) return common::FromGrpc(status);
  return response;
}

}  // namespace ctl
