#include "control-plane/webhook/inject.h"

#include <algorithm>
#include <utility>

#include "common/names.h"
#include "common/suggest.h"
#include "control-plane/webhook/agent_container.h"

namespace cp {
namespace {

using common::InvalidArgument;
using common::Status;
using nlohmann::json;

const json kNone = json::array();  // NOLINT(cert-err58-cpp): an empty array does not throw

const json& ListAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kNone;
}

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const json* Named(const json& list, std::string_view name) {
  for (const json& item : list) {
    if (TextAt(item, "name") == name) return &item;
  }
  return nullptr;
}

bool Wanted(const PodWishes& wishes, const std::string& container) {
  if (container == kAgentContainer) return false;
  return wishes.containers.empty() ||
         std::ranges::find(wishes.containers, container) != wishes.containers.end();
}

// Adds operations to a patch; lists that are absent are made by their first item.
class Patch {
 public:
  void Add(const std::string& path, json value) {
    operations_.push_back({{"op", "add"}, {"path", path}, {"value", std::move(value)}});
  }
  // `at`: "-" or an index. `list`: as the pod has it.
  void AddToList(const std::string& path, const json& list, const char* at, const json& items) {
    if (list.empty()) return Add(path, items);
    for (const json& item : items) Add(path + "/" + at, item);
  }
  json Take() { return std::move(operations_); }

 private:
  json operations_ = json::array();
};

Status CheckTokenService(const PodWishes& wishes, const std::string& service) {
  if (const Status valid = common::ValidateServiceName(service); !valid.ok()) {
    return InvalidArgument("the service account makes the service '{}': {}",
                           common::Printable(service), common::Message(valid));
  }
  if (wishes.service.empty() || wishes.service == service) return common::OkStatus();
  return InvalidArgument(
      "annotation tributary.dev/service says {}, but this pod's service account makes it {}; set "
      "spec.serviceAccountName, or leave the annotation out",
      wishes.service, service);
}

// What cannot work must not start.
Status CheckPod(const json& spec, const PodWishes& wishes) {
  if (spec.value("hostNetwork", false) && wishes.admin.empty()) {
    return InvalidArgument(
        "a pod with hostNetwork shares its node's ports: give its agent a free one by annotation "
        "tributary.dev/admin (e.g. 127.0.0.1:19901), or label the pod tributary.dev/inject=false");
  }
  if (spec.value("/os/name"_json_pointer, "") == "windows" ||
      spec.value("/nodeSelector/kubernetes.io~1os"_json_pointer, "") == "windows") {
    return InvalidArgument(
        "the agent runs on Linux only: label the pod tributary.dev/inject=false");
  }
  for (const std::string_view volume : {kSocketVolume, kDataVolume, kIdentityVolume}) {
    if (Named(ListAt(spec, "volumes"), volume) == nullptr) continue;
    return InvalidArgument("spec.volumes: the name {} is the injector's; use another", volume);
  }
  for (const std::string& name : wishes.containers) {
    if (Named(ListAt(spec, "containers"), name) != nullptr) continue;
    if (Named(ListAt(spec, "initContainers"), name) != nullptr) continue;
    return InvalidArgument("annotation tributary.dev/containers: there is no container {}",
                           common::Printable(name));
  }
  return common::OkStatus();
}

// The socket's volume and its variable, in each container that lacks them.
Status AddSocket(const json& spec, const char* list, const PodWishes& wishes, Patch& patch,
                 std::vector<std::string>& warnings) {
  const json& containers = ListAt(spec, list);
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const json& container = containers[i];
    const std::string name = TextAt(container, "name");
    if (!Wanted(wishes, name)) continue;
    const std::string path = fmt::format("/spec/{}/{}", list, i);
    const json& mounts = ListAt(container, "volumeMounts");
    for (const json& mount : mounts) {
      if (TextAt(mount, "mountPath") != kSocketDir || TextAt(mount, "name") == kSocketVolume)
        continue;
      return InvalidArgument(
          "container {}: {} is where the agent's socket goes; mount {} elsewhere", name, kSocketDir,
          TextAt(mount, "name"));
    }
    if (Named(mounts, kSocketVolume) == nullptr) {
      patch.AddToList(path + "/volumeMounts", mounts, "-", json::array({SocketMount()}));
    }
    const json& variables = ListAt(container, "env");
    const json* const own = Named(variables, "TRIBUTARY_SOCKET");
    if (own == nullptr) {
      patch.AddToList(path + "/env", variables, "-", json::array({SocketVariable()}));
    } else if (TextAt(*own, "value") != kSocketPath) {
      warnings.push_back(fmt::format("container {} sets TRIBUTARY_SOCKET itself; the agent's is {}",
                                     name, kSocketPath));
    }
  }
  return common::OkStatus();
}

void AddAnnotations(const json& pod, const InjectSettings& settings, Patch& patch) {
  const json mark = {{"injected", settings.native ? "native" : "container"},
                     {"version", settings.version}};
  json added = {{kStatusAnnotation, mark.dump()}};
  const json annotations = pod.value("/metadata/annotations"_json_pointer, json::object());
  const json& containers = ListAt(pod.at("spec"), "containers");
  // The agent comes first in the list; kubectl exec and logs must still mean the application.
  constexpr const char* kDefault = "kubectl.kubernetes.io/default-container";
  if (!settings.native && !annotations.contains(kDefault) && !containers.empty()) {
    added[kDefault] = TextAt(containers.front(), "name");
  }
  if (annotations.empty()) return patch.Add("/metadata/annotations", added);
  for (const auto& [name, value] : added.items()) {
    std::string escaped = name;
    for (std::size_t at = 0; (at = escaped.find('/', at)) != std::string::npos;)
      escaped.replace(at, 1, "~1");
    patch.Add("/metadata/annotations/" + escaped, value);
  }
}

common::StatusOr<Injection> InjectInto(const json& pod, std::string_view pod_namespace,
                                       const InjectSettings& settings) {
  if (!pod.is_object() || !pod.contains("spec") || !pod.at("spec").is_object()) {
    return InvalidArgument("this is no pod: it has no spec");
  }
  const json& spec = pod.at("spec");
  ASSIGN_OR_RETURN(PodWishes wishes, ReadAnnotations(pod));
  Injection injection{.warnings = std::move(wishes.warnings)};
  const bool injected = Named(ListAt(spec, "containers"), kAgentContainer) != nullptr ||
                        Named(ListAt(spec, "initContainers"), kAgentContainer) != nullptr;
  const json annotations = pod.value("/metadata/annotations"_json_pointer, json::object());
  if (injected && !annotations.contains(kStatusAnnotation)) {
    injection.warnings.push_back(fmt::format(
        "the pod brings a container {} of its own; it is left as it is", kAgentContainer));
    return injection;
  }
  Patch patch;
  // Init containers come last in time before native sidecars existed: no agent runs beside them.
  if (settings.native) {
    RETURN_IF_ERROR(AddSocket(spec, "initContainers", wishes, patch, injection.warnings));
  }
  RETURN_IF_ERROR(AddSocket(spec, "containers", wishes, patch, injection.warnings));
  if (!injected) {
    RETURN_IF_ERROR(CheckPod(spec, wishes));
    const std::string account = TextAt(spec, "serviceAccountName");
    PodFacts facts{
        .service = fmt::format("{}.{}", account.empty() ? "default" : account, pod_namespace),
        .runs_to_end = spec.value("restartPolicy", "Always") != "Always",
        .grace_seconds = spec.value("terminationGracePeriodSeconds", std::int64_t{30})};
    RETURN_IF_ERROR(CheckTokenService(wishes, facts.service));
    patch.AddToList("/spec/volumes", ListAt(spec, "volumes"), "-", AgentVolumes());
    AddAnnotations(pod, settings, patch);
    // Last, so that the indices above hold; first in line, so that it starts before the others.
    const char* const list = settings.native ? "initContainers" : "containers";
    patch.AddToList(fmt::format("/spec/{}", list), ListAt(spec, list), "0",
                    json::array({AgentContainer(wishes, facts, settings)}));
  }
  injection.patch = patch.Take();
  return injection;
}

}  // namespace

common::StatusOr<Injection> Inject(const json& pod, std::string_view pod_namespace,
                                   const InjectSettings& settings) {
  try {
    return InjectInto(pod, pod_namespace, settings);
  } catch (const json::exception& error) {  // a field of another type than a pod has
    return InvalidArgument("this is no pod: {}", error.what());
  }
}

}  // namespace cp
