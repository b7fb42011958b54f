// AgentContainer: the container and the volumes that injection adds, as JSON.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control-plane/webhook/annotations.h"
#include "control-plane/webhook/inject.h"

namespace cp {

struct PodFacts {
  std::string service;       // <serviceaccount>.<namespace>
  bool runs_to_end = false;  // a Job's pod: its agent must end by itself in container mode
  std::int64_t grace_seconds = 30;
};

nlohmann::json AgentContainer(const PodWishes& wishes, const PodFacts& facts,
                              const InjectSettings& settings);
nlohmann::json AgentVolumes();
nlohmann::json SocketMount();     // for the application's containers
nlohmann::json SocketVariable();  // TRIBUTARY_SOCKET

}  // namespace cp
