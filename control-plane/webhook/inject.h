// Inject: what an admission webhook adds to a pod so that it has an agent beside it.
//
// Thread: any.  Lifetime: pure function over values; golden files in tests/golden/inject hold it.
// Two modes: native – an init container with restartPolicy Always, first in line, which the kubelet
// starts before and stops after everything else (Kubernetes ≥ 1.29) – and container, an ordinary
// container that waits for and outlasts the others by hooks. docs/kubernetes.md tells the rules.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "control-plane/webhook/annotations.h"

namespace cp {

inline constexpr std::string_view kAgentContainer = "tributary-agent";
inline constexpr std::string_view kSocketVolume = "tributary-socket";
inline constexpr std::string_view kDataVolume = "tributary-data";
inline constexpr std::string_view kIdentityVolume = "tributary-identity";
inline constexpr const char* kSocketDir = "/run/tributary";
inline constexpr const char* kSocketPath = "/run/tributary/agent.sock";
inline constexpr std::string_view kCaConfigMap = "tributary-ca";
inline constexpr std::string_view kTokenAudience = "tributary";

struct InjectSettings {
  std::string image;
  std::string control_plane;  // HOST:PORT[,…]
  std::string version;        // of the injector, for the marker
  bool native = true;
  // Without, the pod is Ready when the postStart hook has ended, which waits a minute at most.
  bool startup_probe = true;
};

struct Injection {
  nlohmann::json patch = nlohmann::json::array();  // RFC 6902; empty: nothing to do
  std::vector<std::string> warnings;
};

// Works on its own result, too: containers that others have added meanwhile get the socket, and
// nothing else changes. INVALID_ARGUMENT: the pod must not start, and the text says what to change.
common::StatusOr<Injection> Inject(const nlohmann::json& pod, std::string_view pod_namespace,
                                   const InjectSettings& settings);

}  // namespace cp
