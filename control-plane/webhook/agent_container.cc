#include "control-plane/webhook/agent_container.h"

#include <algorithm>

#include "common/units.h"

namespace cp {
namespace {

using nlohmann::json;

constexpr const char* kProgram = "/usr/bin/tributary-agent";
constexpr const char* kDataDir = "/var/lib/tributary";
constexpr const char* kIdentityDir = "/run/tributary-identity";
constexpr const char* kAdmin = "127.0.0.1:9901";
constexpr int kAgentUser = 65532;
constexpr int kTokenSeconds = 3600;
constexpr std::int64_t kExitSeconds = 5;  // of the grace period, for the agent's own exit

std::string AdminAddress(const PodWishes& wishes) {
  return wishes.admin.empty() ? kAdmin : wishes.admin;
}

json Healthcheck(const PodWishes& wishes, const char* question) {
  return {kProgram, "healthcheck", "--admin=" + AdminAddress(wishes),
          fmt::format("--for={}", question)};
}

const char* StartQuestion(const PodWishes& wishes) {
  return wishes.wait_for == WaitFor::kReady ? "ready" : "live";
}

json Probe(json command, int period_s, int failures) {
  return {{"exec", {{"command", std::move(command)}}},
          {"periodSeconds", period_s},
          {"timeoutSeconds", 5},
          {"failureThreshold", failures}};
}

json Probes(const PodWishes& wishes, const InjectSettings& settings) {
  json probes = {{"livenessProbe", Probe(Healthcheck(wishes, "live"), 10, 6)}};
  if (settings.startup_probe) {
    probes["startupProbe"] = Probe(Healthcheck(wishes, StartQuestion(wishes)), 1, 600);
  }
  // Once ready, an agent stays ready. Where the startup probe has asked that, asking on is needless
  // and only delays: old kubelets let a whole period pass before they ask first.
  if (wishes.wait_for == WaitFor::kSocket) {
    probes["readinessProbe"] = Probe(Healthcheck(wishes, "ready"), 5, 3);
  }
  return probes;
}

json Arguments(const PodWishes& wishes, const PodFacts& facts, const InjectSettings& settings) {
  json args = {
      "--service=" + facts.service, "--control-plane=" + settings.control_plane,
      fmt::format("--tls-ca={}/ca.crt", kIdentityDir),
      fmt::format("--token-file={}/token", kIdentityDir), fmt::format("--socket={}", kSocketPath),
      // The pod's containers have different users; the volume is the pod's alone.
      "--socket-mode=0666", fmt::format("--data-dir={}", kDataDir),
      "--max-map-size=" + common::FormatSize(wishes.data_bytes), "--admin=" + AdminAddress(wishes),
      "--log-level=" + wishes.log_level, "--log-format=json"};
  for (const std::string& item : wishes.subscribe) args.push_back("--subscribe=" + item);
  if (!settings.native && facts.runs_to_end) {
    args.push_back("--exit-when-idle=" + common::FormatDuration(wishes.job_idle));
  }
  return args;
}

// Ordinary containers start together and are told to stop together: hooks put them in order.
json Lifecycle(const PodWishes& wishes, const PodFacts& facts) {
  json wait = Healthcheck(wishes, StartQuestion(wishes));
  wait.insert(wait.end(), {"--wait=60s", "--lenient"});
  const std::int64_t drain_s = std::max<std::int64_t>(1, facts.grace_seconds - kExitSeconds);
  json drain = Healthcheck(wishes, "idle");
  drain.insert(drain.end(), {fmt::format("--wait={}s", drain_s), "--lenient"});
  return {{"postStart", {{"exec", {{"command", std::move(wait)}}}}},
          {"preStop", {{"exec", {{"command", std::move(drain)}}}}}};
}

json SecurityContext() {
  return {{"runAsNonRoot", true},
          {"runAsUser", kAgentUser},
          {"runAsGroup", kAgentUser},
          {"readOnlyRootFilesystem", true},
          {"allowPrivilegeEscalation", false},
          {"privileged", false},
          {"capabilities", {{"drop", json::array({"ALL"})}}},
          {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

json Mount(std::string_view volume, const char* path) {
  return {{"name", volume}, {"mountPath", path}};
}

json Field(const char* variable, const char* path) {
  return {{"name", variable}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

}  // namespace

json AgentContainer(const PodWishes& wishes, const PodFacts& facts,
                    const InjectSettings& settings) {
  json identity = Mount(kIdentityVolume, kIdentityDir);
  identity["readOnly"] = true;
  json container = {
      {"name", kAgentContainer},
      {"image", wishes.image.empty() ? settings.image : wishes.image},
      {"imagePullPolicy", "IfNotPresent"},
      {"command", json::array({kProgram})},
      {"args", Arguments(wishes, facts, settings)},
      {"env", json::array({Field("TRIBUTARY_INSTANCE", "metadata.name")})},
      {"resources",
       {{"requests", {{"cpu", wishes.cpu_request}, {"memory", wishes.memory_request}}},
        {"limits", {{"cpu", wishes.cpu_limit}, {"memory", wishes.memory_limit}}}}},
      {"securityContext", SecurityContext()},
      {"volumeMounts",
       json::array({Mount(kSocketVolume, kSocketDir), Mount(kDataVolume, kDataDir), identity})}};
  container.update(Probes(wishes, settings));
  if (settings.native) {
    container["restartPolicy"] = "Always";
  } else {
    container["lifecycle"] = Lifecycle(wishes, facts);
  }
  return container;
}

json AgentVolumes() {
  const json token = {
      {"serviceAccountToken",
       {{"audience", kTokenAudience}, {"expirationSeconds", kTokenSeconds}, {"path", "token"}}}};
  const json ca = {{"configMap",
                    {{"name", kCaConfigMap},
                     {"items", json::array({{{"key", "ca.crt"}, {"path", "ca.crt"}}})}}}};
  return json::array(
      {{{"name", kSocketVolume}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", "1Mi"}}}},
       {{"name", kDataVolume}, {"emptyDir", json::object()}},
       {{"name", kIdentityVolume}, {"projected", {{"sources", json::array({token, ca})}}}}});
}

json SocketMount() { return Mount(kSocketVolume, kSocketDir); }

json SocketVariable() { return {{"name", "TRIBUTARY_SOCKET"}, {"value", kSocketPath}}; }

}  // namespace cp
