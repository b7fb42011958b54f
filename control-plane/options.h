// Options of tributary-control-plane: their defaults, their table, and which go together.
//
// Thread: main.  Lifetime: values; a table points into the Options it was made for.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/status.h"

namespace cp {

struct Options {
  std::string listen = "127.0.0.1:18000";
  std::string admin = "127.0.0.1:9902";
  std::uint64_t stream_rate = 500;  // new xDS streams a second; 0: no limit
  std::uint64_t stream_burst = 1000;
  std::chrono::milliseconds max_connection_age{0};  // 0: no limit
  common::ByteSize rpc_memory{1ULL << 30};          // of gRPC's own
  std::string data_dir = "./tributary-data";
  common::ByteSize max_map_size{64ULL << 30};  // address space, not memory
  std::string manifests;                       // empty: none
  std::chrono::milliseconds tombstone_retention = std::chrono::hours(24);
  std::uint64_t tombstones_max = 10'000'000;  // per dataset
  std::vector<std::string> admin_services;    // patterns

  std::string tls_cert, tls_key, tls_client_ca;  // all or none
  bool insecure = false;
  bool insecure_any_address = false;

  std::string log_level = "info";
  std::string log_format = "text";

  // etcd: parsed, and refused by CheckOptions until it works.
  std::string store = "lmdb";
  std::vector<std::string> etcd_endpoints;

  bool kubernetes = false;
  std::string kubernetes_server;  // empty: as each pod is told
  std::string kubernetes_ca, kubernetes_token_file;
  std::string kubernetes_namespace = "tributary-system";
  std::string webhook_listen;  // empty: none
  bool webhook_only = false;
  std::string webhook_host = "tributary-injector.tributary-system.svc";
  std::string webhook_cert, webhook_key, webhook_ca;  // all, or none: an authority of our own
  std::string agent_image;
  std::string agent_control_plane = "tributary.tributary-system.svc:18000";
  std::string agent_mode = "auto";
};

std::vector<common::Option> OptionTable(Options& options);

// INVALID_ARGUMENT: options that do not go together; names the flags and says what to do.
common::Status CheckOptions(const Options& options);

common::Program ControlPlaneProgram();

}  // namespace cp
