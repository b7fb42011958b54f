#include "control-plane/publish/publish_service.h"

#include <utility>

#include "common/rpc/status.h"

namespace cp {
namespace {

// Ends a call at once.
class RefusedStream final : public PublishReactor {
 public:
  explicit RefusedStream(const common::Status& status) { Finish(common::ToGrpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

PublishReactor* PublishService::Publish(grpc::CallbackServerContext* context) {
  common::StatusOr<std::string> service = common::CallIdentity(*context, trust_);
  if (!service.ok()) return new RefusedStream(service.status());
  auto stream = PublishStream::Open(streams_, *std::move(service), context->peer());
  if (!stream.ok()) return new RefusedStream(stream.status());
  return *stream;
}

}  // namespace cp
