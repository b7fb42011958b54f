#include "control-plane/options.h"

#include <iterator>

#include "common/admin_server.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/names.h"
#include "common/rpc/loopback.h"

namespace cp {
namespace {

using common::InvalidArgument;
using common::Status;

Status CheckGrpcAddress(std::string_view text) {
  if (text.substr(0, 5) == "unix:") return common::OkStatus();
  return common::ParseHostPort(text).status();
}
Status CheckHttpAddress(std::string_view text) { return common::ParseHostPort(text).status(); }

Status CheckSecurity(const Options& options) {
  const bool any_tls =
      !options.tls_cert.empty() || !options.tls_key.empty() || !options.tls_client_ca.empty();
  const bool all_tls =
      !options.tls_cert.empty() && !options.tls_key.empty() && !options.tls_client_ca.empty();
  if (options.insecure && any_tls) {
    return InvalidArgument("--insecure excludes --tls-cert, --tls-key and --tls-client-ca");
  }
  if (!options.insecure && !all_tls) {
    return InvalidArgument(
        "{}: give --tls-cert, --tls-key and --tls-client-ca, or --insecure to go without TLS",
        any_tls ? "incomplete TLS options" : "neither TLS nor --insecure");
  }
  if (options.insecure && !options.insecure_any_address &&
      !common::IsLoopbackAddress(options.listen)) {
    return InvalidArgument(
        "--insecure with --listen {}: anyone who reaches it could act as any service; listen on "
        "127.0.0.1, use TLS, or add --insecure-any-address",
        options.listen);
  }
  return common::OkStatus();
}

Status CheckSupported(const Options& options) {
  const auto unsupported = [](const char* flag) {
    return InvalidArgument("{} is not supported yet; leave it out", flag);
  };
  if (options.store == "etcd") return unsupported("--store etcd");
  if (!options.etcd_endpoints.empty()) return unsupported("--etcd-endpoints");
  return common::OkStatus();
}

Status CheckKubernetes(const Options& options) {
  if (options.webhook_only && options.webhook_listen.empty()) {
    return InvalidArgument("--webhook-only needs --webhook-listen, e.g. 0.0.0.0:8443");
  }
  if (!options.webhook_listen.empty() && options.agent_image.empty()) {
    return InvalidArgument("--webhook-listen needs --agent-image: what to inject");
  }
  const bool some =
      !options.webhook_cert.empty() || !options.webhook_key.empty() || !options.webhook_ca.empty();
  const bool all =
      !options.webhook_cert.empty() && !options.webhook_key.empty() && !options.webhook_ca.empty();
  if (some && !all) {
    return InvalidArgument("--webhook-cert, --webhook-key and --webhook-ca belong together");
  }
  if (options.kubernetes && options.insecure && options.insecure_any_address) {
    return InvalidArgument(
        "--kubernetes proves services by tokens, which need TLS: leave out --insecure-any-address");
  }
  return common::OkStatus();
}

// Each of a list HOST:PORT[,…].
Status CheckAddresses(std::string_view text) {
  while (true) {
    const std::size_t comma = std::min(text.find(','), text.size());
    RETURN_IF_ERROR(CheckHttpAddress(text.substr(0, comma)));
    if (comma == text.size()) return common::OkStatus();
    text.remove_prefix(comma + 1);
  }
}

std::vector<common::Option> KubernetesOptions(Options& o) {
  return {
      {"Kubernetes", "kubernetes", &o.kubernetes, "",
       "Take declarations from the cluster, and service-account tokens as identities"},
      {"Kubernetes", "kubernetes-server", &o.kubernetes_server, "URL",
       "The API server; by default the one of the cluster that this pod is in"},
      {"Kubernetes", "kubernetes-ca", &o.kubernetes_ca, "FILE", "PEM: who signs its certificate"},
      {"Kubernetes", "kubernetes-token-file", &o.kubernetes_token_file, "FILE",
       "Token for it; read again for each call"},
      {"Kubernetes", "kubernetes-namespace", &o.kubernetes_namespace, "NAME",
       "Where the control plane is installed"},
      {"Injector",
       "webhook-listen",
       &o.webhook_listen,
       "HOST:PORT",
       "HTTPS for the admission webhooks; empty: none",
       {},
       CheckHttpAddress},
      {"Injector", "webhook-only", &o.webhook_only, "",
       "Serve the webhooks and nothing else: no store, no gRPC"},
      {"Injector", "webhook-host", &o.webhook_host, "HOST",
       "By which name the API server calls the webhooks; goes into their certificate"},
      {"Injector", "webhook-cert", &o.webhook_cert, "FILE",
       "PEM certificate from elsewhere (cert-manager); by default the injector makes its own"},
      {"Injector", "webhook-key", &o.webhook_key, "FILE", "PEM key of the certificate"},
      {"Injector", "webhook-ca", &o.webhook_ca, "FILE",
       "PEM: its authority, for the webhooks' caBundle and for agents"},
      {"Injector", "agent-image", &o.agent_image, "IMAGE", "The agent's image; best by digest"},
      {"Injector",
       "agent-control-plane",
       &o.agent_control_plane,
       "HOST:PORT[,…]",
       "Where injected agents find the control plane; its certificate is made for these hosts",
       {},
       CheckAddresses},
      {"Injector",
       "agent-mode",
       &o.agent_mode,
       "",
       "How agents are injected: native sidecars, or containers (Kubernetes before 1.29)",
       {"auto", "native", "container"}},
  };
}

}  // namespace

std::vector<common::Option> OptionTable(Options& o) {
  std::vector<common::Option> table = {
      {"Network",
       "listen",
       &o.listen,
       "HOST:PORT",
       "gRPC for agents and tributaryctl: ADS, Publisher, Reader, Admin, health",
       {},
       CheckGrpcAddress},
      {"Network",
       "admin",
       &o.admin,
       "HOST:PORT",
       "HTTP for operators: probes, metrics, pages",
       {},
       CheckHttpAddress},
      {"Network", "stream-rate", &o.stream_rate, "N",
       "New xDS streams taken a second, so that reconnecting agents do not come all at once; 0: "
       "any"},
      {"Network", "stream-burst", &o.stream_burst, "N", "New xDS streams taken at once"},
      {"Network", "max-connection-age", &o.max_connection_age, "DURATION",
       "End connections after about this long, so that agents spread over control planes; 0: "
       "never"},
      {"Network", "rpc-memory", &o.rpc_memory, "SIZE",
       "Memory that gRPC may take for what is being received; beyond it, it ends streams"},
      {"Security", "tls-cert", &o.tls_cert, "FILE",
       "PEM certificate chain of this server; read again when it changes"},
      {"Security", "tls-key", &o.tls_key, "FILE", "PEM key of the certificate"},
      {"Security", "tls-client-ca", &o.tls_client_ca, "FILE",
       "PEM bundle: who signs the certificates that clients must show"},
      {"Security", "insecure", &o.insecure, "",
       "No TLS: every client is believed to be who it says; for one host or for tests"},
      {"Security", "insecure-any-address", &o.insecure_any_address, "",
       "Allow --insecure when --listen is not a loopback address"},
      {"Security",
       "admin-service",
       &o.admin_services,
       "PATTERN",
       "Service that may change any declaration through the API; a name, \"*\" or \"*.suffix\"",
       {},
       common::ValidateServicePattern},
      {"Data", "data-dir", &o.data_dir, "DIR", "Where the store lives; created if absent"},
      {"Data", "max-map-size", &o.max_map_size, "SIZE",
       "How big the store may grow: address space, not memory"},
      {"Data", "manifests", &o.manifests, "DIR",
       "YAML files of Datasets and Subscriptions, watched for changes"},
      {"Data", "tombstone-retention", &o.tombstone_retention, "DURATION",
       "How long removals and withdrawn datasets are kept; agents away longer load afresh"},
      {"Data", "tombstones-max", &o.tombstones_max, "COUNT",
       "How many removals are kept per dataset, the latest ones; whichever limit is reached first"},
      {"Data",
       "store",
       &o.store,
       "",
       "Where commits go (etcd: not supported yet)",
       {"lmdb", "etcd"}},
      {"Data", "etcd-endpoints", &o.etcd_endpoints, "URL", "etcd members (not supported yet)"},
      {"General", "log-level", &o.log_level, "", "Least severity that is logged; see /log-level",
       common::LogLevelNames()},
      {"General", "log-format", &o.log_format, "", "Form of the log on stderr",
       common::LogFormatNames()},
  };
  std::vector<common::Option> more = KubernetesOptions(o);
  table.insert(table.end() - 2, std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  return table;
}

Status CheckOptions(const Options& options) {
  RETURN_IF_ERROR(CheckSupported(options));
  RETURN_IF_ERROR(CheckKubernetes(options));
  if (options.webhook_only) return common::OkStatus();
  RETURN_IF_ERROR(CheckSecurity(options));
  if (options.max_map_size.bytes < (1 << 20)) {
    return InvalidArgument("--max-map-size must be at least 1MiB");
  }
  if (options.tombstone_retention < std::chrono::seconds(1)) {
    return InvalidArgument("--tombstone-retention must be at least 1s");
  }
  if (options.tombstones_max < 1) return InvalidArgument("--tombstones-max must be at least 1");
  if (options.max_connection_age.count() != 0 &&
      (options.max_connection_age < std::chrono::seconds(1) ||
       options.max_connection_age > std::chrono::hours(24 * 20))) {
    return InvalidArgument("--max-connection-age must be 0 or between 1s and 480h");
  }
  if (options.rpc_memory.bytes < 2 * common::kRequestBytesMax) {
    return InvalidArgument("--rpc-memory must be at least {}",
                           common::FormatSize(2 * common::kRequestBytesMax));
  }
  if (options.data_dir.empty()) return InvalidArgument("--data-dir must not be empty");
  return common::OkStatus();
}

common::Program ControlPlaneProgram() {
  return {"tributary-control-plane", common::BuildVersion(),
          "takes what services publish and serves it to agents over xDS"};
}

}  // namespace cp
