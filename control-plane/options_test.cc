#include "control-plane/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cp {
namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_code = 0;  // 0: would run
  std::string text;
};

Outcome Load(std::vector<std::string> arguments) {
  std::vector<const char*> argv{"tributary-control-plane"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  Options options;
  const auto loaded = common::LoadOptions(
      ControlPlaneProgram(), OptionTable(options), static_cast<int>(argv.size()), argv.data(),
      [](const std::string&) { return std::optional<std::string>(); });
  if (loaded.exit_code) return {*loaded.exit_code, loaded.text};
  const common::Status checked = CheckOptions(options);
  if (checked.ok()) return {};
  return {common::kExitUsage, std::string(common::Message(checked))};
}

TEST(ControlPlaneOptionsTest, GoodCombinations) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--insecure"},
           {"--insecure", "--listen", "[::1]:0", "--admin", "0.0.0.0:0"},
           {"--insecure", "--listen", "unix:/tmp/x"},
           {"--insecure", "--listen", "0.0.0.0:1", "--insecure-any-address"},
           {"--tls-cert=a", "--tls-key=b", "--tls-client-ca=c", "--listen", "0.0.0.0:1"},
           {"--webhook-only", "--webhook-listen=0.0.0.0:8443", "--agent-image=a:1"},
           {"--insecure", "--kubernetes", "--agent-control-plane=a.svc:1,[::1]:2"},
           {"--insecure", "--store", "lmdb", "--max-map-size", "1GiB", "--tombstone-retention",
            "1h", "--admin-service", "ops", "--admin-service", "*.ops"}}) {
    const Outcome outcome = Load(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
  }
}

TEST(ControlPlaneOptionsTest, BadCombinationsSayWhatToDo) {
  struct Case {
    std::vector<std::string> arguments;
    const char* want;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "neither TLS nor --insecure"},
           {{"--tls-cert=a", "--tls-key=b"}, "--tls-client-ca"},
           {{"--insecure", "--tls-cert=a"}, "--insecure excludes --tls-cert"},
           {{"--insecure", "--listen", "0.0.0.0:1"}, "--insecure-any-address"},
           {{"--insecure", "--listen", "nowhere"}, "--listen"},
           {{"--insecure", "--admin", "unix:x"}, "--admin"},
           {{"--insecure", "--store", "papyrus"}, "--store"},
           {{"--insecure", "--store", "etcd"}, "--store etcd is not supported yet"},
           {{"--insecure", "--etcd-endpoints", "http://x"},
            "--etcd-endpoints is not supported yet"},
           {{"--insecure", "--webhook-listen", "x:1"}, "needs --agent-image"},
           {{"--insecure", "--webhook-listen", "x"}, "--webhook-listen"},
           {{"--webhook-only"}, "--webhook-only needs --webhook-listen"},
           {{"--webhook-only", "--webhook-listen=x:1", "--agent-image=a", "--webhook-cert=c"},
            "--webhook-key and --webhook-ca belong together"},
           {{"--insecure", "--agent-control-plane", "a:1,b"}, "--agent-control-plane"},
           {{"--insecure", "--agent-mode", "magic"}, "--agent-mode"},
           {{"--kubernetes", "--insecure", "--insecure-any-address"}, "need TLS"},
           {{"--insecure", "--max-map-size", "4096"}, "--max-map-size"},
           {{"--insecure", "--tombstone-retention", "0"}, "--tombstone-retention"},
           {{"--insecure", "--data-dir", ""}, "--data-dir"},
           {{"--insecure", "--admin-service", "Not A Name"}, "--admin-service"},
           {{"--insecure", "--log-level", "loud"}, "--log-level"}}) {
    const Outcome outcome = Load(c.arguments);
    EXPECT_EQ(outcome.exit_code, common::kExitUsage) << c.want;
    EXPECT_THAT(outcome.text, HasSubstr(c.want));
  }
}

}  // namespace
}  // namespace cp
