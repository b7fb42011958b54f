#include "agent/options.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "common/admin_server.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/loopback.h"

namespace agent {
namespace {

using common::InvalidArgument;
using common::Status;

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

Status CheckSubscribe(std::string_view text) { return common::ParseSubscribeFlag(text).status(); }

Status CheckAdmin(std::string_view text) {
  return text.empty() ? common::OkStatus() : common::ParseHostPort(text).status();
}
Status CheckControlPlane(std::string_view text) {
  for (const std::string& address : Split(std::string(text))) {
    RETURN_IF_ERROR(common::ParseHostPort(address).status());
  }
  return common::OkStatus();
}

std::string DefaultInstance() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("{}/{}", host.data(), getpid());
}

Status CheckTransport(const AgentOptions& options) {
  const bool tls = !options.tls_ca.empty();
  if (options.insecure && (tls || !options.tls_cert.empty() || !options.tls_key.empty())) {
    return InvalidArgument("--insecure and --tls-… exclude each other");
  }
  if (options.insecure && !options.token_file.empty()) {
    return InvalidArgument(
        "--token-file needs TLS (--tls-ca): a token must not be read on the way");
  }
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return InvalidArgument("--tls-cert and --tls-key belong together");
  }
  if (tls) return common::OkStatus();
  if (!options.insecure) {
    return InvalidArgument(
        "give --tls-ca (and --tls-cert, --tls-key) for the control plane's TLS, or --insecure for "
        "a "
        "control plane on this host without it");
  }
  for (const std::string& address : options.control_planes) {
    if (common::IsLoopbackAddress(address)) continue;
    return InvalidArgument(
        "--insecure is for a control plane on this host: {} is not a loopback address; use "
        "--tls-ca",
        address);
  }
  return common::OkStatus();
}

// The rest of what one stream may name is for collections and for what proves freshness.
constexpr std::uint64_t kOnDemandEntriesMax = common::kExplicitNamesPerStreamMax * 9 / 10;

Status CheckOnDemand(const AgentOptions& options) {
  if (options.on_demand_entries < 1 || options.on_demand_entries > kOnDemandEntriesMax) {
    return InvalidArgument("--on-demand-entries must be between 1 and {}", kOnDemandEntriesMax);
  }
  if (options.on_demand_bytes.bytes < common::kValueBytesMax) {
    return InvalidArgument("--on-demand-bytes must have room for one value: at least {}",
                           common::kValueBytesMax);
  }
  if (options.on_demand_idle < std::chrono::seconds(1)) {
    return InvalidArgument("--on-demand-idle must be at least 1s");
  }
  if (options.on_demand_absence < std::chrono::milliseconds(10)) {
    return InvalidArgument("--on-demand-absence must be at least 10ms");
  }
  return common::OkStatus();
}

// Beside those of serving, of logging.
std::vector<common::Option> ServingOptions(AgentOptions& o) {
  return {
      {"Serving", "socket", &o.socket, "PATH", "The Unix socket for Redis clients"},
      {"Serving", "socket-mode", &o.socket_mode, "MODE", "Permissions of the socket"},
      {"Serving", "threads", &o.threads, "N",
       "Threads that serve the socket's clients, 1 to 64; each client belongs to one of them"},
      {"Serving",
       "admin",
       &o.admin,
       "HOST:PORT",
       "HTTP for probes, metrics and status; empty: none",
       {},
       CheckAdmin},
      {"Serving", "exit-when-idle", &o.exit_when_idle, "DURATION",
       "End once the application's sockets are gone for so long (0: never); for Jobs in Kubernetes "
       "before 1.29"},
      {"Logging", "log-level", &o.log_level, "LEVEL", "What is logged", common::LogLevelNames()},
      {"Logging", "log-format", &o.log_format, "FORMAT", "How it is logged",
       common::LogFormatNames()},
  };
}

}  // namespace

common::Program AgentProgram() {
  return {.name = "tributary-agent",
          .version = common::BuildVersion(),
          .summary =
              "Keeps local copies of the datasets a service subscribes to and serves them to "
              "any Redis client on a Unix socket"};
}

std::vector<common::Option> OptionTable(AgentOptions& o) {
  std::vector<common::Option> table = {
      {"Identity",
       "service",
       &o.service,
       "NAME",
       "The service that this agent works for (required)",
       {},
       common::ValidateServiceName},
      {"Identity", "instance", &o.instance, "NAME",
       "Tells agents of one service apart; by default the host's name and the process id"},
      {"Control plane",
       "control-plane",
       &o.control_plane,
       "HOST:PORT[,…]",
       "Where the control plane listens; several are tried in turn",
       {},
       CheckControlPlane},
      {"Control plane", "tls-ca", &o.tls_ca, "FILE",
       "Certificates (PEM) that may sign the control plane's; re-read when the file changes"},
      {"Control plane", "tls-cert", &o.tls_cert, "FILE", "This service's certificate (PEM)"},
      {"Control plane", "tls-key", &o.tls_key, "FILE", "The certificate's key (PEM)"},
      {"Control plane", "token-file", &o.token_file, "FILE",
       "A token that proves who we are, instead of a certificate; read again for each call"},
      {"Control plane", "insecure", &o.insecure, "",
       "No TLS; only for a control plane on a loopback address"},
      {"Data",
       "subscribe",
       &o.subscribe,
       "DATASET[/PREFIX*][:MODE]",
       "Carry this too, beside what the control plane says (repeatable)",
       {},
       CheckSubscribe},
      {"Data", "data-dir", &o.data_dir, "DIR", "Where the copies are kept"},
      {"Data", "max-map-size", &o.max_map_size, "SIZE",
       "Bound on the copies' file; address space, not memory"},
      {"Data", "index-bytes", &o.index_bytes, "SIZE",
       "Memory at most for the index that makes reads fast, about 32 bytes for each entry that is "
       "read; shared out among --threads; 0: none"},
      {"Data", "freshness-interval", &o.freshness_interval, "DURATION",
       "How often each copy is proven fresh"},
      {"Data", "foreign-quiet", &o.foreign_quiet, "DURATION",
       "With an xDS server that is not Tributary's: so much silence ends a full load"},
      {"Data", "on-demand-entries", &o.on_demand_entries, "N",
       "On-demand copies: so many keys, and keys known to be absent, are held at most"},
      {"Data", "on-demand-bytes", &o.on_demand_bytes, "SIZE",
       "On-demand copies: so many bytes of keys and values are held at most"},
      {"Data", "on-demand-idle", &o.on_demand_idle, "DURATION",
       "On-demand copies: a key that nobody has read for so long is dropped"},
      {"Data", "on-demand-absence", &o.on_demand_absence, "DURATION",
       "On-demand copies: how long it is held that a key does not exist; it may appear before"},
      {"Data", "publish-timeout", &o.publish_timeout, "DURATION",
       "How long a write waits for the control plane"},
  };
  for (common::Option& option : ServingOptions(o)) table.push_back(std::move(option));
  return table;
}

Status CheckOptions(AgentOptions& options) {
  if (options.service.empty()) {
    return InvalidArgument("--service is required: the service that this agent works for");
  }
  options.control_planes = Split(options.control_plane);
  RETURN_IF_ERROR(CheckTransport(options));
  if (options.freshness_interval < std::chrono::milliseconds(10)) {
    return InvalidArgument("--freshness-interval must be at least 10ms");
  }
  const bool idle_too_short =
      options.exit_when_idle.count() > 0 && options.exit_when_idle < std::chrono::seconds(1);
  if (idle_too_short) return InvalidArgument("--exit-when-idle must be 0 or at least 1s");
  if (options.foreign_quiet < std::chrono::milliseconds(10)) {
    return InvalidArgument("--foreign-quiet must be at least 10ms");
  }
  RETURN_IF_ERROR(CheckOnDemand(options));
  if (options.threads < 1 || options.threads > common::kLoopThreadsMax) {
    return InvalidArgument("--threads must be between 1 and {}", common::kLoopThreadsMax);
  }
  if (options.publish_timeout < std::chrono::milliseconds(1)) {
    return InvalidArgument("--publish-timeout must be above 0");
  }
  if (options.instance.empty()) options.instance = DefaultInstance();
  for (const std::string& text : options.subscribe) {
    auto subscription = common::ParseSubscribeFlag(text);
    if (!subscription.ok()) return common::Annotate(subscription.status(), "--subscribe");
    options.subscriptions.push_back(*std::move(subscription));
  }
  return common::OkStatus();
}

}  // namespace agent
