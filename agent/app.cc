#include "agent/app.h"

#include <utility>

#include "agent/client_pages.h"
#include "agent/idle_exit.h"
#include "common/rpc/credentials.h"
#include "common/signals.h"

namespace agent {

using common::Status;

App::App(AgentOptions options, const common::Clock& clock, common::Log& log)
    : options_(std::move(options)), clock_(clock), log_(log) {}

App::~App() {
  stop_idle_.Close();
  idle_.Join();
  if (servers_ != nullptr) {
    servers_->Stop();
    servers_->Join();
  }
  admin_.reset();
  if (cache_ != nullptr) cache_->SetFaultHandler({});
  syncer_.reset();
  servers_.reset();
  router_.reset();
  remote_.reset();
  publisher_.reset();
  cache_.reset();
  log_.Info("stopped");
}

Status App::Start() {
  ASSIGN_OR_RETURN(credentials_, Credentials());
  RETURN_IF_ERROR(OpenCache());
  RETURN_IF_ERROR(StartSocket());
  RETURN_IF_ERROR(StartSync());
  RETURN_IF_ERROR(StartAdmin());
  if (options_.exit_when_idle.count() > 0) {
    idle_ = common::Thread("idle", [this] { WatchForIdleness(); });
  }
  log_.Info("started", {{"service", options_.service},
                        {"instance", options_.instance},
                        {"socket", options_.socket},
                        {"threads", options_.threads},
                        {"control_plane", options_.control_plane},
                        {"admin", options_.admin}});
  return common::OkStatus();
}

common::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> App::Credentials() const {
  if (options_.insecure) return grpc::InsecureChannelCredentials();
  return common::ClientTls({.ca = options_.tls_ca,
                            .cert = options_.tls_cert,
                            .key = options_.tls_key,
                            .token = options_.token_file});
}

Status App::OpenCache() {
  ASSIGN_OR_RETURN(cache_, Cache::Open({.dir = options_.data_dir,
                                        .service = options_.service,
                                        .map_bytes = options_.max_map_size.bytes}));
  publisher_ =
      std::make_unique<Publisher>(PublisherOptions{.control_planes = options_.control_planes,
                                                   .credentials = credentials_,
                                                   .service = options_.service,
                                                   .timeout = options_.publish_timeout},
                                  clock_, log_);
  remote_ =
      std::make_unique<RemoteReader>(RemoteReaderOptions{.control_planes = options_.control_planes,
                                                         .credentials = credentials_,
                                                         .service = options_.service},
                                     clock_, log_);
  router_ = std::make_unique<ReadRouter>(*remote_);
  return common::OkStatus();
}

// One for each loop; the bound of the index is for all together.
common::StatusOr<std::vector<std::unique_ptr<Reader>>> App::MakeReaders() {
  std::vector<std::unique_ptr<Reader>> readers;
  while (readers.size() < options_.threads) {
    ASSIGN_OR_RETURN(readers.emplace_back(),
                     cache_->MakeReader(options_.index_bytes.bytes / options_.threads));
  }
  return readers;
}

// Everything that readers may call is there before the first client is served.
Status App::StartSocket() {
  ASSIGN_OR_RETURN(auto readers, MakeReaders());
  ServerOptions options{.path = options_.socket,
                        .mode = options_.socket_mode.bits,
                        .service = options_.service,
                        .version = common::BuildVersion(),
                        .output = {},
                        .write_visible_max = options_.publish_timeout,
                        .cache_bytes = [this] { return cache_->bytes_used(); }};
  servers_ = std::make_unique<ServerPool>(options, std::move(readers), *publisher_, *router_,
                                          board_, clock_);
  RETURN_IF_ERROR(servers_->Listen());
  SyncerOptions sync{
      .control_planes = options_.control_planes,
      .credentials = credentials_,
      .sync = {.service = options_.service,
               .instance = options_.instance,
               .user_agent = fmt::format("tributary-agent/{}", common::BuildVersion()),
               .subscribe = options_.subscriptions,
               .freshness_interval = options_.freshness_interval,
               .foreign_quiet = options_.foreign_quiet,
               .on_demand = {.names = options_.on_demand_entries,
                             .bytes = options_.on_demand_bytes.bytes,
                             .idle = options_.on_demand_idle,
                             .absence = options_.on_demand_absence}}};
  syncer_ = std::make_unique<Syncer>(std::move(sync), clock_,
                                     cache_->MakeWriter(servers_->listener()), board_, log_);
  router_->SetOnDemand(
      [this](std::vector<DemandQuestion> questions) { syncer_->Ask(std::move(questions)); });
  cache_->SetFaultHandler(
      [this](const common::Collection& collection) { syncer_->ReportFault(collection); });
  servers_->Start();
  return common::OkStatus();
}

Status App::StartSync() { return syncer_->Start(); }

Status App::StartAdmin() {
  if (options_.admin.empty()) return common::OkStatus();
  common::AdminHooks hooks;
  hooks.ready = [this] { return readiness_.Check(*board_.Get()); };
  hooks.ready_note = [this] { return Readiness::Note(*board_.Get()); };
  hooks.quit = [] { common::RequestStop(); };
  admin_ = std::make_unique<common::AdminServer>(std::move(hooks), log_, metrics_);
  AddPages();
  metrics_.AddCollector([this] { return SyncMetrics(*board_.Get(), clock_); });
  metrics_.AddCollector([this] { return RemoteMetrics(remote_->totals()); });
  metrics_.AddCollector([this] { return ServerMetrics(*servers_->TotalStats()); });
  metrics_.AddCollector([this] { return CacheMetrics(cache_->bytes_used()); });
  metrics_.AddCollector([this] { return ClockMetrics(board_.control_plane_clock, clock_); });
  return common::Annotate(admin_->Start(options_.admin), "--admin");
}

void App::WatchForIdleness() {
  constexpr std::chrono::milliseconds kBetweenLooks{500};
  const std::uint16_t admin_port = admin_ == nullptr ? 0 : admin_->port();
  IdleExit exit(options_.exit_when_idle, clock_.Now());
  std::uint64_t clients_before = 0;
  for (;;) {
    stop_idle_.WaitAll(kBetweenLooks);
    if (stop_idle_.closed()) return;
    // A client may come and go between two looks; the socket has counted it.
    const std::uint64_t clients = servers_->TotalStats()->clients_total.Get();
    const bool anyone = clients != clients_before || ForeignSockets("/proc", admin_port) > 0;
    clients_before = clients;
    const auto verdict = exit.Step(clock_.Now(), anyone);
    if (verdict == IdleExit::Verdict::kStay) continue;
    nobody_came_ = verdict == IdleExit::Verdict::kNobodyCame;
    log_.Info("idle", {{"application_seen", !nobody_came_}});
    return common::RequestStop();
  }
}

void App::AddPages() {
  admin_->Get("/datasets", "the copies: state, revision, age, size, digest",
              [this](const common::AdminRequest&) {
                return common::JsonResponse(DatasetsJson(*board_.Get(), clock_));
              });
  admin_->Get("/config_dump", "options and subscriptions in effect",
              [this](const common::AdminRequest&) {
                return common::JsonResponse(ConfigJson(options_, *board_.Get()));
              });
  admin_->Get("/clients", "the socket's clients",
              [this](const common::AdminRequest&) { return ClientsPage(*servers_); });
}

}  // namespace agent
