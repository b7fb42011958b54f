#include "control-plane/webhook/inject.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace cp {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kGolden = TRIBUTARY_GOLDEN;

InjectSettings Settings(bool native) {
  return {.image = "registry.example/agent:1",
          .control_plane = "tributary.tributary-system.svc:18000",
          .version = "1.2.3",
          .native = native};
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::filesystem::path> GoldenPods() {
  std::vector<std::filesystem::path> pods;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (entry.path().string().ends_with(".pod.json")) pods.push_back(entry.path());
  }
  std::sort(pods.begin(), pods.end());
  return pods;
}

json Minimal() {
  return {{"metadata", {{"name", "p"}}},
          {"spec", {{"containers", json::array({{{"name", "app"}, {"image", "app:1"}}})}}}};
}

json Annotated(const std::string& name, const std::string& value) {
  json pod = Minimal();
  pod["metadata"]["annotations"][name] = value;
  return pod;
}

json Injected(const json& pod, bool native) {
  const auto injection = Inject(pod, "finance", Settings(native));
  EXPECT_TRUE(injection.ok()) << injection.status();
  return injection.ok() ? pod.patch(injection->patch) : json();
}

const json& AgentOf(const json& pod, bool native) {
  return pod.at("spec").at(native ? "initContainers" : "containers").at(0);
}

// Goal: what the API server is told, op by op; UPDATE_GOLDEN=1 rewrites the files.
TEST(InjectTest, PatchesAreTheGoldenOnes) {
  for (const auto& path : GoldenPods()) {
    for (const bool native : {true, false}) {
      SCOPED_TRACE(path);
      const auto injection = Inject(json::parse(ReadText(path)), "finance", Settings(native));
      ASSERT_TRUE(injection.ok()) << injection.status();
      const std::string patch = injection->patch.dump(1) + "\n";
      std::string stem = path.filename();
      stem.resize(stem.size() - std::string(".pod.json").size());
      const std::string golden =
          std::string(kGolden) + "/" + stem + (native ? ".native.json" : ".container.json");
      if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(golden) << patch;  // NOLINT
      EXPECT_EQ(patch, ReadText(golden)) << "if meant so: UPDATE_GOLDEN=1";
    }
  }
}

TEST(InjectTest, AgreesWithItsOwnResult) {
  for (const auto& path : GoldenPods()) {
    for (const bool native : {true, false}) {
      SCOPED_TRACE(path);
      const json once = Injected(json::parse(ReadText(path)), native);
      const auto again = Inject(once, "finance", Settings(native));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_THAT(again->patch, IsEmpty());
      EXPECT_THAT(again->warnings, IsEmpty());
    }
  }
}

TEST(InjectTest, ContainersOfOtherInjectorsGetTheSocketLater) {
  json pod = Injected(Minimal(), false);
  pod["spec"]["containers"].push_back({{"name", "mesh"}, {"image", "mesh:1"}});
  const json twice = Injected(pod, false);
  const json& mesh = twice.at("spec").at("containers").back();
  EXPECT_EQ(mesh.at("env").at(0).at("name"), "TRIBUTARY_SOCKET");
  EXPECT_EQ(mesh.at("volumeMounts").at(0).at("name"), kSocketVolume);
  EXPECT_EQ(twice.at("spec").at("containers").size(), 3U);
}

// Goal: PodSecurity "restricted" refuses a pod for any container that lacks one of these.
TEST(InjectTest, TheAgentMeetsTheRestrictedProfile) {
  for (const bool native : {true, false}) {
    const json pod = Injected(Minimal(), native);
    const json& context = AgentOf(pod, native).at("securityContext");
    EXPECT_EQ(context.at("runAsNonRoot"), true);
    EXPECT_GT(context.at("runAsUser"), 0);
    EXPECT_EQ(context.at("allowPrivilegeEscalation"), false);
    EXPECT_EQ(context.at("readOnlyRootFilesystem"), true);
    EXPECT_EQ(context.at("capabilities"), json({{"drop", {"ALL"}}}));
    EXPECT_EQ(context.at("seccompProfile").at("type"), "RuntimeDefault");
    for (const json& volume : pod.at("spec").at("volumes")) {
      EXPECT_TRUE(volume.contains("emptyDir") || volume.contains("projected")) << volume;
    }
    for (const char* kind : {"requests", "limits"}) {
      EXPECT_TRUE(AgentOf(pod, native).at("resources").at(kind).contains("cpu"));
      EXPECT_TRUE(AgentOf(pod, native).at("resources").at(kind).contains("memory"));
    }
  }
}

// Goal: old kubelets, which may lose a startup probe's answer for a minute, are not asked for one.
TEST(InjectTest, TheStartupProbeMayBeLeftOut) {
  InjectSettings settings = Settings(false);
  settings.startup_probe = false;
  const auto injection = Inject(Minimal(), "finance", settings);
  ASSERT_TRUE(injection.ok()) << injection.status();
  const json pod = Minimal().patch(injection->patch);
  EXPECT_FALSE(AgentOf(pod, false).contains("startupProbe"));
  EXPECT_TRUE(AgentOf(pod, false).contains("livenessProbe"));
  EXPECT_TRUE(AgentOf(pod, false).at("lifecycle").contains("postStart"));
}

TEST(InjectTest, OnlyJobsInContainerModeEndByThemselves) {
  struct Case {
    const char* policy;
    bool native;
    bool want;
  };
  for (const Case& c : {Case{"Never", false, true}, Case{"OnFailure", false, true},
                        Case{"Always", false, false}, Case{"Never", true, false}}) {
    SCOPED_TRACE(c.policy);
    json pod = Minimal();
    pod["spec"]["restartPolicy"] = c.policy;
    const json injected = Injected(pod, c.native);
    const std::string args = AgentOf(injected, c.native).at("args").dump();
    EXPECT_EQ(args.find("--exit-when-idle=15s") != std::string::npos, c.want);
  }
}

TEST(InjectTest, WarnsOfUnknownAnnotations) {
  const auto injection =
      Inject(Annotated("tributary.dev/subscribes", "x"), "finance", Settings(true));
  ASSERT_TRUE(injection.ok());
  EXPECT_THAT(injection->warnings,
              ElementsAre("annotation tributary.dev/subscribes is unknown and has no effect; did "
                          "you mean 'subscribe'?"));
}

TEST(InjectTest, LeavesAnAgentThatThePodBrings) {
  json pod = Minimal();
  pod["spec"]["containers"].push_back({{"name", "tributary-agent"}, {"image", "mine:1"}});
  const auto injection = Inject(pod, "finance", Settings(true));
  ASSERT_TRUE(injection.ok());
  EXPECT_THAT(injection->patch, IsEmpty());
  EXPECT_EQ(injection->warnings.size(), 1U);
}

TEST(InjectTest, RefusesWhatCannotWorkAndSaysWhatToDo) {
  json host_network = Minimal();
  host_network["spec"]["hostNetwork"] = true;
  json windows = Minimal();
  windows["spec"]["nodeSelector"]["kubernetes.io/os"] = "windows";
  json volume = Minimal();
  volume["spec"]["volumes"] = json::array({{{"name", "tributary-data"}}});
  json mount = Minimal();
  mount["spec"]["containers"][0]["volumeMounts"] =
      json::array({{{"name", "mine"}, {"mountPath", "/run/tributary"}}});
  json odd = Minimal();
  odd["spec"]["hostNetwork"] = "yes";
  const std::vector<std::pair<json, const char*>> cases = {
      {Annotated("tributary.dev/service", "other.finance"), "set spec.serviceAccountName"},
      {Annotated("tributary.dev/service", "Bad"), "tributary.dev/service: "},
      {Annotated("tributary.dev/subscribe", "orders.shop:often"), ":readThrough"},
      {Annotated("tributary.dev/image", "a b"), "is not an image"},
      {Annotated("tributary.dev/memory-limit", "12 MB"), "write e.g. 128Mi"},
      {Annotated("tributary.dev/cpu-limit", "fast"), "write e.g. 50m"},
      {Annotated("tributary.dev/cpu-limit", "0.5m"), "write e.g. 50m"},
      {Annotated("tributary.dev/data-size", "1Ki"), "at least 1Mi"},
      {Annotated("tributary.dev/log-level", "loud"), "tributary.dev/log-level: "},
      {Annotated("tributary.dev/admin", "9901"), "tributary.dev/admin: "},
      {Annotated("tributary.dev/wait-for", "luck"), "ready, socket"},
      {Annotated("tributary.dev/job-idle", "10"), "tributary.dev/job-idle: "},
      {Annotated("tributary.dev/containers", "nobody"), "there is no container nobody"},
      {host_network, "tributary.dev/admin"},
      {windows, "Linux only"},
      {volume, "tributary-data is the injector's"},
      {mount, "mount mine elsewhere"},
      {odd, "this is no pod"},
      {json::array(), "no spec"},
      {json({{"spec", 3}}), "no spec"},
  };
  for (const auto& [pod, want] : cases) {
    SCOPED_TRACE(pod.dump());
    const auto injection = Inject(pod, "finance", Settings(true));
    ASSERT_FALSE(injection.ok());
    EXPECT_THAT(std::string(common::Message(injection.status())), HasSubstr(want));
  }
}

}  // namespace
}  // namespace cp
