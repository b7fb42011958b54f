// AdminService: tributary.v1.Admin – declarations, status and backups, for tributaryctl.
//
// Thread: gRPC's; each call is answered by the committer's or the hub's thread.
// Lifetime: what it is given outlives it; it outlives the gRPC server.
#pragma once

#include <functional>

#include "common/clock.h"
#include "common/rpc/identity.h"
#include "control-plane/admin/admin_rights.h"
#include "control-plane/admin/backup_stream.h"
#include "control-plane/fanout/hub.h"
#include "control-plane/store/committer.h"
#include "tributary/v1/admin.grpc.pb.h"

namespace cp {

// Asks the hub's thread; `done` is called on it.
using AskHub = std::function<void(std::function<void(HubStatus)> done)>;

class AdminService final : public tributary::v1::Admin::CallbackService {
 public:
  AdminService(common::Trust trust, AdminRights rights, const common::Clock& clock,
               const Store& store, Committer& committer, AskHub ask_hub);

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const tributary::v1::ApplyRequest* request,
                                  tributary::v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const tributary::v1::DeleteRequest* request,
                                   tributary::v1::DeleteResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const tributary::v1::ListRequest* request,
                                 tributary::v1::ListResponse* response) override;
  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context,
                                   const tributary::v1::StatusRequest* request,
                                   tributary::v1::StatusResponse* response) override;
  grpc::ServerUnaryReactor* Verify(grpc::CallbackServerContext* context,
                                   const tributary::v1::VerifyRequest* request,
                                   tributary::v1::VerifyResponse* response) override;
  BackupReactor* Backup(grpc::CallbackServerContext* context,
                        const tributary::v1::BackupRequest* request) override;

 private:
  common::Status CheckChanges(const grpc::CallbackServerContext& context,
                              const std::vector<DeclarationChange>& changes) const;
  common::Status FillDatasets(const std::string& only,
                              tributary::v1::StatusResponse& response) const;

  const common::Trust trust_;
  const AdminRights rights_;
  const common::Clock& clock_;
  const Store& store_;
  Committer& committer_;
  const AskHub ask_hub_;
  BackupGate backups_;
};

}  // namespace cp
