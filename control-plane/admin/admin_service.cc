#include "control-plane/admin/admin_service.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/rpc/status.h"
#include "control-plane/admin/status_rows.h"

namespace cp {
namespace {

using common::OkStatus;
using common::StatusCode;

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                 const common::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(common::ToGrpc(status));
  return reactor;
}

common::StatusOr<std::vector<DeclarationChange>> ChangesOf(
    const tributary::v1::ApplyRequest& request) {
  std::vector<DeclarationChange> changes;
  for (int i = 0; i < request.objects_size(); ++i) {
    ASSIGN_OR_RETURN(auto parsed, common::ParseDeclarations(request.objects(i),
                                                            fmt::format("object {}", i + 1)));
    for (common::Declaration& object : parsed) {
      DeclarationChange& change = changes.emplace_back();
      change.kind = common::KindOf(object);
      change.name = common::NameOf(object);
      change.object = std::move(object);
      change.source = Source::kApi;
    }
  }
  if (changes.empty()) return common::InvalidArgument("nothing to apply");
  return changes;
}

common::Status CheckKind(const std::string& kind) {
  if (kind == "Dataset" || kind == "Subscription") return OkStatus();
  return common::InvalidArgument("kind '{}' is not Dataset or Subscription", kind);
}

std::string_view SourceName(Source source) {
  switch (source) {
    case Source::kManifests:
      return "manifests";
    case Source::kKubernetes:
      return "kubernetes";
    default:
      return "api";
  }
}

// The declared form with a status: where it comes from and, for a dataset, what it holds.
template <class T>
std::string Describe(const Declared<T>& declared, const std::optional<DatasetState>& state) {
  auto object = nlohmann::json::parse(common::ToJson(declared.object), nullptr, false);
  CHECK(!object.is_discarded());
  object["status"]["source"] = SourceName(declared.source);
  if (!declared.origin.empty()) object["status"]["origin"] = declared.origin;
  if (state) {
    object["status"]["revision"] = state->head;
    object["status"]["entries"] = state->entries;
    object["status"]["bytes"] = state->bytes;
    object["status"]["digest"] = common::FormatDigest(state->digest);
    object["status"]["floor"] = state->floor;
    object["status"]["tombstones"] = state->tombstones;
  }
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

common::Status NotDeclared(const std::string& kind, const std::string& name) {
  return common::Error(StatusCode::kNotFound, "{} {} is not declared", kind, name);
}

common::Status ListDatasets(const Store& store, const std::string& name,
                            tributary::v1::ListResponse& response) {
  const CatalogPtr catalog = store.catalog();
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.OpenView());
  for (const auto& [dataset, declared] : catalog->datasets) {
    if (!name.empty() && dataset != name) continue;
    ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(dataset));
    response.add_objects(Describe(declared, state));
  }
  return OkStatus();
}

void ListSubscriptions(const Catalog& catalog, const std::string& name,
                       tributary::v1::ListResponse& response) {
  for (const auto& [subscription, declared] : catalog.subscriptions) {
    if (name.empty() || subscription == name) {
      response.add_objects(Describe(declared, std::nullopt));
    }
  }
}

void FillHub(const HubStatus& status, const std::string& only, common::MonotonicTime now,
             tributary::v1::StatusResponse& response) {
  for (const AgentRow& row : status.agents) FillAgent(row, now, *response.add_agents());
  for (const CopyRow& row : status.copies) {
    if (only.empty() || row.dataset == only) FillCopy(row, now, *response.add_copies());
  }
}

}  // namespace

AdminService::AdminService(common::Trust trust, AdminRights rights, const common::Clock& clock,
                           const Store& store, Committer& committer, AskHub ask_hub)
    : trust_(trust),
      rights_(std::move(rights)),
      clock_(clock),
      store_(store),
      committer_(committer),
      ask_hub_(std::move(ask_hub)) {}

common::Status AdminService::CheckChanges(const grpc::CallbackServerContext& context,
                                          const std::vector<DeclarationChange>& changes) const {
  ASSIGN_OR_RETURN(const std::string caller, common::CallIdentity(context, trust_));
  const CatalogPtr catalog = store_.catalog();
  for (const DeclarationChange& change : changes) {
    RETURN_IF_ERROR(rights_.CheckMayChange(caller, change, *catalog));
  }
  return OkStatus();
}

grpc::ServerUnaryReactor* AdminService::Apply(grpc::CallbackServerContext* context,
                                              const tributary::v1::ApplyRequest* request,
                                              tributary::v1::ApplyResponse* response) {
  auto changes = ChangesOf(*request);
  if (!changes.ok()) return Finish(context, changes.status());
  if (common::Status status = CheckChanges(*context, *changes); !status.ok()) {
    return Finish(context, status);
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool taken = committer_.Submit(DeclareJob{
      .changes = *std::move(changes),
      .dry_run = request->dry_run(),
      .done = [reactor, response](const common::StatusOr<std::vector<std::string>>& outcome) {
        if (outcome.ok()) response->mutable_outcomes()->Assign(outcome->begin(), outcome->end());
        reactor->Finish(common::ToGrpc(outcome.status()));
      }});
  if (!taken) reactor->Finish({grpc::StatusCode::UNAVAILABLE, "shutting down or overloaded"});
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::Delete(grpc::CallbackServerContext* context,
                                               const tributary::v1::DeleteRequest* request,
                                               tributary::v1::DeleteResponse*) {
  if (common::Status status = CheckKind(request->kind()); !status.ok()) {
    return Finish(context, status);
  }
  const CatalogPtr catalog = store_.catalog();
  const bool declared = request->kind() == "Dataset"
                            ? catalog->datasets.contains(request->name())
                            : catalog->subscriptions.contains(request->name());
  if (!declared) return Finish(context, NotDeclared(request->kind(), request->name()));
  std::vector<DeclarationChange> changes{{.kind = request->kind(),
                                          .name = request->name(),
                                          .object = std::nullopt,
                                          .source = Source::kApi}};
  if (common::Status status = CheckChanges(*context, changes); !status.ok()) {
    return Finish(context, status);
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool taken = committer_.Submit(
      DeclareJob{.changes = std::move(changes),
                 .dry_run = false,
                 .done = [reactor](const common::StatusOr<std::vector<std::string>>& outcome) {
                   reactor->Finish(common::ToGrpc(outcome.status()));
                 }});
  if (!taken) reactor->Finish({grpc::StatusCode::UNAVAILABLE, "shutting down or overloaded"});
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::List(grpc::CallbackServerContext* context,
                                             const tributary::v1::ListRequest* request,
                                             tributary::v1::ListResponse* response) {
  common::Status status = common::CallIdentity(*context, trust_).status();
  if (status.ok()) status = CheckKind(request->kind());
  if (!status.ok()) return Finish(context, status);
  if (request->kind() == "Dataset") {
    status = ListDatasets(store_, request->name(), *response);
  } else {
    ListSubscriptions(*store_.catalog(), request->name(), *response);
  }
  if (status.ok() && !request->name().empty() && response->objects_size() == 0) {
    status = NotDeclared(request->kind(), request->name());
  }
  return Finish(context, status);
}

common::Status AdminService::FillDatasets(const std::string& only,
                                          tributary::v1::StatusResponse& response) const {
  const CatalogPtr catalog = store_.catalog();
  ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store_.OpenView());
  for (const auto& [name, declared] : catalog->datasets) {
    if (!only.empty() && name != only) continue;
    ASSIGN_OR_RETURN(const std::optional<DatasetState> state, view->Dataset(name));
    FillDataset(name, declared.object.owner, state, *response.add_datasets());
  }
  if (only.empty() || response.datasets_size() > 0) return OkStatus();
  return NotDeclared("Dataset", only);
}

grpc::ServerUnaryReactor* AdminService::Status(grpc::CallbackServerContext* context,
                                               const tributary::v1::StatusRequest* request,
                                               tributary::v1::StatusResponse* response) {
  common::Status status = common::CallIdentity(*context, trust_).status();
  if (status.ok()) status = FillDatasets(request->dataset(), *response);
  if (!status.ok()) return Finish(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  ask_hub_([this, reactor, response, only = request->dataset()](const HubStatus& hub) {
    FillHub(hub, only, clock_.Now(), *response);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::Verify(grpc::CallbackServerContext* context,
                                               const tributary::v1::VerifyRequest* request,
                                               tributary::v1::VerifyResponse* response) {
  common::Status status = common::CallIdentity(*context, trust_).status();
  if (status.ok()) status = FillVerify(store_, *request, *response);
  if (!status.ok()) return Finish(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  ask_hub_([this, reactor, request, response](const HubStatus& hub) {
    FillVerifyCopies(hub, *request, clock_.Now(), *response);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

BackupReactor* AdminService::Backup(grpc::CallbackServerContext* context,
                                    const tributary::v1::BackupRequest*) {
  const auto caller = common::CallIdentity(*context, trust_);
  const common::Status refused = caller.ok() ? rights_.CheckMayBackUp(*caller) : caller.status();
  return StartBackup(refused, store_, clock_.UnixMillis(), backups_);
}

}  // namespace cp
