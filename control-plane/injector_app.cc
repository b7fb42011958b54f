#include "control-plane/injector_app.h"

#include <utility>

#include "common/config.h"
#include "common/signals.h"

namespace cp {

common::StatusOr<KubeConnection> ConnectionOf(const Options& options) {
  if (options.kubernetes_server.empty()) return InClusterConnection();
  return KubeConnection{.server = options.kubernetes_server,
                        .ca_file = options.kubernetes_ca,
                        .token_file = options.kubernetes_token_file};
}

InjectorApp::InjectorApp(Options options, const common::Clock& clock, common::Log& log,
                         common::Metrics& metrics)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      pages_({.ready =
                  [this] {
                    return injector_ ? injector_->ready() : absl::UnavailableError("starting");
                  },
              .quit = common::RequestStop},
             log, metrics) {}

InjectorApp::~InjectorApp() { pages_.Stop(); }

common::Status InjectorApp::Start() {
  ASSIGN_OR_RETURN(KubeConnection connection, ConnectionOf(options_));
  api_.emplace(std::move(connection));
  injector_.emplace(options_, *api_, clock_, log_, metrics_);
  RETURN_IF_ERROR(injector_->Start());
  pages_.Get("/config_dump", "the options in force", [this](const auto&) {
    return common::JsonResponse(common::OptionsJson(OptionTable(options_)));
  });
  RETURN_IF_ERROR(common::Annotate(pages_.Start(options_.admin), "--admin"));
  log_.Info("admin pages", {{"address", options_.admin}, {"port", pages_.port()}});
  return common::OkStatus();
}

}  // namespace cp
