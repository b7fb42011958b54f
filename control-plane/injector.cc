#include "control-plane/injector.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "common/admin_server.h"
#include "common/config.h"
#include "common/units.h"

namespace cp {
namespace {

constexpr std::uint64_t kNativeMinor = 29;
// Kubelets before 1.21 may act on a startup probe a minute late (kubernetes/kubernetes#95140);
// nodes may be two versions older than the server.
constexpr std::uint64_t kStartupMinor = 23;
constexpr std::chrono::minutes kVersionInterval{5};
constexpr std::chrono::seconds kVersionRetry{1};

CertificateKeeperOptions KeeperOptions(const Options& options) {
  CertificateKeeperOptions keeper;
  keeper.system_namespace = options.kubernetes_namespace;
  keeper.pki.webhook_names = {options.webhook_host};
  keeper.pki.server_names = CertificateNames(options.agent_control_plane);
  keeper.files = {options.webhook_cert, options.webhook_key, options.webhook_ca};
  return keeper;
}

}  // namespace

common::StatusOr<std::uint64_t> ServerMinor(const nlohmann::json& version) {
  const auto text = [&](const char* name) {
    const nlohmann::json value =
        version.is_object() ? version.value(name, nlohmann::json()) : version;
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const std::string minor = text("minor");  // "29", or "29+" of some vendors
  const std::size_t digits = std::min(minor.find_first_not_of("0123456789"), minor.size());
  const auto major = common::ParseUnsigned(text("major"));
  const auto number = common::ParseUnsigned(std::string_view(minor).substr(0, digits));
  if (!major.ok() || !number.ok()) {
    return common::InvalidArgument("/version: major and minor are not understood");
  }
  return *major > 1 ? std::numeric_limits<std::uint64_t>::max() : *number;
}

std::vector<std::string> CertificateNames(const std::string& addresses) {
  std::vector<std::string> names;
  const auto add = [&](std::string name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  };
  for (std::size_t at = 0; at <= addresses.size();) {
    const std::size_t comma = std::min(addresses.find(',', at), addresses.size());
    const auto address = common::ParseHostPort(addresses.substr(at, comma - at));
    at = comma + 1;
    if (!address.ok()) continue;
    add(address->host);
    if (address->host.ends_with(".svc")) add(address->host + ".cluster.local");
  }
  return names;
}

Injector::Injector(const Options& options, KubeApi& api, const common::Clock& clock,
                   common::Log& log, common::Metrics& metrics)
    : options_(options),
      api_(api),
      log_(log),
      server_(log, metrics),
      keeper_(KeeperOptions(options), api, server_, clock, log, metrics) {}

Injector::~Injector() {
  api_.Stop();
  stop_.Close();
  version_.Join();
}

InjectSettings Injector::Settings(std::uint64_t minor) const {
  return {.image = options_.agent_image,
          .control_plane = options_.agent_control_plane,
          .version = common::BuildVersion(),
          .native = minor >= kNativeMinor,
          .startup_probe = minor >= kStartupMinor};
}

common::Status Injector::Start() {
  RETURN_IF_ERROR(common::Annotate(server_.Start(options_.webhook_listen), "--webhook-listen"));
  log_.Info("webhooks", {{"listen", options_.webhook_listen}, {"port", server_.port()}});
  if (options_.agent_mode != "auto") {
    server_.SetSettings(Settings(options_.agent_mode == "native" ? kNativeMinor : kStartupMinor));
  } else {
    version_ = common::Thread("version", [this] { FollowVersion(); });
  }
  keeper_.Start();
  return common::OkStatus();
}

void Injector::FollowVersion() {
  std::string shown;
  while (!stop_.closed()) {
    const auto version = CallJson(api_, {.path = "/version"});
    const auto minor = version.ok() ? ServerMinor(*version) : version.status();
    if (minor.ok()) server_.SetSettings(Settings(*minor));
    const std::string now = minor.ok() ? (*minor >= kNativeMinor ? "native" : "container")
                                       : std::string(common::Message(minor.status()));
    if (now != shown && !stop_.closed()) log_.Info("mode of injection", {{"mode", now}});
    shown = now;
    stop_.WaitAll(minor.ok() ? std::chrono::nanoseconds(kVersionInterval)
                             : std::chrono::nanoseconds(kVersionRetry));
  }
}

}  // namespace cp
