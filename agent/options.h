// AgentOptions: everything the agent can be told, in one table.
//
// Thread: main, before any other starts.  Lifetime: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/declarations.h"
#include "common/log.h"
#include "common/rpc/credentials.h"
#include "common/status.h"

namespace agent {

common::Program AgentProgram();

struct AgentOptions {
  std::string service;
  std::string instance;  // empty: host name and process id
  std::string control_plane = "127.0.0.1:18000";
  std::vector<std::string> subscribe;
  std::string socket = "/run/tributary/agent.sock";
  common::FileMode socket_mode{0660};
  std::uint64_t threads = 1;
  std::string data_dir = "/var/lib/tributary";
  common::ByteSize max_map_size{64ULL << 30};
  common::ByteSize index_bytes{64ULL << 20};  // of all threads together
  std::string admin = "127.0.0.1:9901";
  std::string tls_ca, tls_cert, tls_key, token_file;
  bool insecure = false;
  std::chrono::milliseconds freshness_interval{1000};
  std::chrono::milliseconds foreign_quiet{1000};
  std::uint64_t on_demand_entries = 90'000;
  common::ByteSize on_demand_bytes{256ULL << 20};
  std::chrono::milliseconds on_demand_idle{std::chrono::minutes(30)};
  std::chrono::milliseconds on_demand_absence{std::chrono::seconds(30)};
  std::chrono::milliseconds publish_timeout{3000};
  std::chrono::milliseconds exit_when_idle{0};  // 0: never
  std::string log_level = "info";
  std::string log_format = "text";

  // Made of the above by CheckOptions.
  std::vector<std::string> control_planes;
  std::vector<common::Subscription> subscriptions;
};

std::vector<common::Option> OptionTable(AgentOptions& options);

// What no single option shows: required ones, addresses, TLS or --insecure. INVALID_ARGUMENT says
// what to do.
common::Status CheckOptions(AgentOptions& options);

}  // namespace agent
