// Annotations: what a pod's author can ask of injection, under the prefix tributary.dev/.
//
// Thread: any.  Lifetime: values; pure functions.
// The table in docs/kubernetes.md is the contract; unknown names under the prefix are warned of.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cp {

inline constexpr std::string_view kAnnotationPrefix = "tributary.dev/";
inline constexpr const char* kStatusAnnotation = "tributary.dev/status";

// What the agent waits for before the application starts.
enum class WaitFor { kReady, kSocket };

struct PodWishes {
  std::string service;  // empty: as the service account says
  std::vector<std::string> subscribe = {};
  std::string image = {};  // empty: the injector's
  std::string cpu_request = "20m", cpu_limit = "500m";
  std::string memory_request = "32Mi", memory_limit = "128Mi";
  std::uint64_t data_bytes = std::uint64_t{1} << 30;
  std::string log_level = "info";
  std::string admin = {};  // empty: 127.0.0.1:9901
  WaitFor wait_for = WaitFor::kReady;
  std::chrono::milliseconds job_idle{15'000};
  std::vector<std::string> containers = {};  // that get the socket; empty: all
  std::vector<std::string> warnings = {};
};

// INVALID_ARGUMENT: one line a fault, each naming the annotation and a good value.
common::StatusOr<PodWishes> ReadAnnotations(const nlohmann::json& pod);

// A Kubernetes quantity of bytes, "128Mi", "1G", "500000"; CPU may end with "m".
common::StatusOr<std::uint64_t> ParseBytesQuantity(std::string_view text);
common::Status CheckCpuQuantity(std::string_view text);

}  // namespace cp
