#include "control-plane/app.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <utility>

#include "common/limits.h"
#include "common/rpc/credentials.h"
#include "common/signals.h"
#include "control-plane/admin/admin_pages.h"
#include "control-plane/app_metrics.h"
#include "control-plane/injector_app.h"
#include "control-plane/metered_store.h"
#include "control-plane/store/lmdb_store.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;

constexpr std::chrono::seconds kDrainTimeout{5};

void SetLimits(const Options& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(common::kRequestBytesMax));
  // A request counts in our own budget only when it is whole (stream/admission.h).
  grpc::ResourceQuota quota("control plane");
  builder.SetResourceQuota(quota.Resize(options.rpc_memory.bytes));
  // A port in use must be an error, not shared between two processes.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  if (options.max_connection_age.count() > 0) {
    // gRPC spreads the age by a tenth either way, so that connections do not end together.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(options.max_connection_age.count()));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 10'000);
  }
  // Peers that vanish are noticed; agents may ping as often as every 5 s.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
}

common::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(const Options& options) {
  if (options.insecure) return grpc::InsecureServerCredentials();
  return common::ServerTls({.ca = options.tls_client_ca,
                            .cert = options.tls_cert,
                            .key = options.tls_key,
                            .client_may_lack_certificate = options.kubernetes});
}

}  // namespace

App::App(Options options, const common::Clock& clock, common::Log& log, common::Metrics& metrics)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      pages_({.ready =
                  [this] {
                    return serving_ ? common::OkStatus()
                                    : Error(StatusCode::kUnavailable, "not serving");
                  },
              .quit = common::RequestStop},
             log, metrics) {}

App::~App() {
  pages_.Stop();
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

common::Status App::Start() {
  RETURN_IF_ERROR(OpenStore());
  hub_.emplace(HubOptions{}, clock_, *store_, log_);
  committer_.emplace(CommitterOptions{.tombstone_retention = options_.tombstone_retention,
                                      .tombstones_max = options_.tombstones_max},
                     clock_, *store_, *hub_);
  RETURN_IF_ERROR(ReadManifests());
  RETURN_IF_ERROR(ConnectToCluster());
  RETURN_IF_ERROR(Serve());
  if (manifests_) manifests_->Start();
  RETURN_IF_ERROR(StartKubernetes());
  return ServePages();
}

common::Status App::OpenStore() {
  auto store =
      LmdbStore::Open({.dir = options_.data_dir, .map_bytes = options_.max_map_size.bytes});
  if (!store.ok()) return common::Annotate(store.status(), "--data-dir " + options_.data_dir);
  store_ = std::make_unique<MeteredStore>(*std::move(store), metrics_);
  const CatalogPtr catalog = store_->catalog();
  log_.Info("store opened", {{"dir", options_.data_dir},
                             {"epoch", common::FormatEpoch(store_->epoch())},
                             {"datasets", catalog->datasets.size()},
                             {"subscriptions", catalog->subscriptions.size()},
                             {"bytes", store_->bytes_used()}});
  return common::OkStatus();
}

common::Status App::ReadManifests() {
  if (options_.manifests.empty()) return common::OkStatus();
  manifests_.emplace(ManifestWatcherOptions{.dir = options_.manifests}, *store_, *committer_, log_);
  return common::Annotate(manifests_->Reconcile(), "--manifests " + options_.manifests);
}

common::Status App::ConnectToCluster() {
  const bool needs_cluster = options_.kubernetes || !options_.webhook_listen.empty();
  if (!needs_cluster) return common::OkStatus();
  ASSIGN_OR_RETURN(const KubeConnection connection, ConnectionOf(options_));
  if (options_.kubernetes) {
    kube_api_.emplace(connection);
    tokens_.emplace(TokenReviewerOptions{}, *kube_api_, clock_);
  }
  if (!options_.webhook_listen.empty()) injector_api_.emplace(connection);
  return common::OkStatus();
}

common::Status App::StartKubernetes() {
  if (kube_api_) {
    kube_.emplace(
        KubeSourceOptions{}, *kube_api_, *store_, *committer_, [this] { return hub_->Status(); },
        clock_, log_, metrics_);
    kube_->Start();
  }
  if (!injector_api_) return common::OkStatus();
  injector_.emplace(options_, *injector_api_, clock_, log_, metrics_);
  return injector_->Start();
}

common::Trust App::MakeTrust() const {
  if (options_.insecure) return common::Trust::kMetadata;
  return {common::Trust::kCertificates, tokens_ ? &*tokens_ : nullptr};
}

common::Status App::Serve() {
  ASSIGN_OR_RETURN(const auto credentials, MakeCredentials(options_));
  if (tokens_ && !options_.insecure) {
    credentials->SetAuthMetadataProcessor(common::CheckTokensBy(*tokens_));
  }
  const common::Trust trust = MakeTrust();
  discovery_.emplace(DiscoveryOptions{.trust = trust,
                                      .streams_per_second = options_.stream_rate,
                                      .streams_burst = options_.stream_burst},
                     clock_, *hub_, metrics_);
  publish_.emplace(trust, *committer_, *store_, clock_, log_, metrics_);
  reader_.emplace(trust, *store_, clock_);
  admin_.emplace(trust, AdminRights(!options_.insecure, options_.admin_services), clock_, *store_,
                 *committer_, [this](const auto& done) { done(hub_->Status()); });
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(options_, builder);
  int port = 0;
  builder.AddListeningPort(options_.listen, credentials, &port);
  builder.RegisterService(&*discovery_);
  builder.RegisterService(&*publish_);
  builder.RegisterService(&*reader_);
  builder.RegisterService(&*admin_);
  server_ = builder.BuildAndStart();
  if (!server_) {
    return Error(StatusCode::kUnavailable,
                 "--listen {}: cannot listen there; is the address this host's and the port free?",
                 options_.listen);
  }
  serving_ = true;
  log_.Info("serving", {{"listen", options_.listen},
                        {"port", port},
                        {"tls", !options_.insecure},
                        {"version", common::BuildVersion()}});
  return common::OkStatus();
}

common::Status App::ServePages() {
  AddControlPlaneMetrics(*hub_, *store_, metrics_);
  pages_.Get("/agents", "connected agents and their copies", [this](const auto&) {
    return common::JsonResponse(AgentsPage(hub_->Status(), clock_.Now()));
  });
  pages_.Get("/datasets", "declared datasets and their state", [this](const auto&) {
    auto page = DatasetsPage(*store_);
    return page.ok() ? common::JsonResponse(*std::move(page))
                     : common::ErrorResponse(500, common::Message(page.status()));
  });
  pages_.Get("/config_dump", "the options in force", [this](const auto&) {
    return common::JsonResponse(common::OptionsJson(OptionTable(options_)));
  });
  RETURN_IF_ERROR(common::Annotate(pages_.Start(options_.admin), "--admin"));
  log_.Info("admin pages", {{"address", options_.admin}, {"port", pages_.port()}});
  return common::OkStatus();
}

void App::Drain() {
  log_.Info("draining");
  serving_ = false;
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(false);
  injector_.reset();
  kube_.reset();
  publish_->Drain();
  hub_->Drain();
  manifests_.reset();
  server_->Shutdown(std::chrono::system_clock::now() + kDrainTimeout);
  log_.Info("drained");
}

}  // namespace cp
