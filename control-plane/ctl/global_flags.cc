#include "control-plane/ctl/global_flags.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "common/names.h"
#include "common/suggest.h"
#include "common/units.h"
#include "common/yaml.h"

namespace ctl {

using common::InvalidArgument;
using common::OkStatus;

namespace {

struct Flag {
  std::string_view name;
  const char* help;
  bool is_switch = false;
  const char* short_name = "";
};

constexpr std::array<Flag, 10> kFlags = {{
    {"control-plane", "HOST:PORT of the control plane [127.0.0.1:18000]"},
    {"insecure", "no TLS; who we are is what --service says", true},
    {"service", "the service that we are (with --insecure)"},
    {"tls-ca", "PEM file: who may sign the control plane's certificate"},
    {"tls-cert", "PEM file: our certificate, which says who we are"},
    {"tls-key", "PEM file: its key"},
    {"token-file", "a token that says who we are, instead of a certificate; needs --tls-ca"},
    {"output", "table, json or yaml [table]", false, "-o"},
    {"timeout", "how long a call may take, e.g. 5s [30s]"},
    {"config", "YAML file with any of these flags as keys"},
}};

std::vector<std::string_view> FlagNames() {
  std::vector<std::string_view> names;
  for (const Flag& flag : kFlags) {
    if (flag.name != "config") names.push_back(flag.name);
  }
  return names;
}

}  // namespace

void GlobalFlags::AddTo(CLI::App& app) {
  for (const Flag& flag : kFlags) {
    const std::string name(flag.name);
    const std::string names =
        *flag.short_name == '\0' ? "--" + name : fmt::format("{},--{}", flag.short_name, name);
    CLI::Option* option = nullptr;
    if (flag.is_switch) {
      option = app.add_flag_callback(
          names, [this, name] { values_[name] = "true"; }, flag.help);
    } else {
      option = app.add_option_function<std::string>(
          names, [this, name](const std::string& value) { values_[name] = value; }, flag.help);
    }
    option->group("Global flags");
  }
}

void GlobalFlags::FillFrom(const GlobalFlags& other) {
  values_.insert(other.values_.begin(), other.values_.end());
}

Status GlobalFlags::FillFromEnvironment(const common::Environment& environment) {
  for (const Flag& flag : kFlags) {
    if (values_.contains(std::string(flag.name))) continue;
    const std::string variable = common::VariableOf(flag.name);
    std::optional<std::string> value = environment(variable);
    if (!value) continue;
    if (flag.is_switch) {
      const StatusOr<bool> on = common::ParseBool(*value);
      if (!on.ok()) return common::Annotate(on.status(), variable);
      value = *on ? "true" : "";
    }
    values_.emplace(flag.name, *std::move(value));
  }
  return OkStatus();
}

namespace {

// One member of the --config file as a flag's text; empty: a switch that is off.
StatusOr<std::string> MemberValue(const common::YamlMember& member) {
  static const std::vector<std::string_view> kKnown = FlagNames();
  if (std::ranges::find(kKnown, member.key) == kKnown.end()) {
    return InvalidArgument("unknown key{}", common::DidYouMean(member.key, kKnown));
  }
  if (member.value.kind != common::YamlNode::Kind::kScalar) {
    return InvalidArgument("must be a single value, not {}", common::Describe(member.value));
  }
  const bool is_switch = std::ranges::find(kFlags, member.key, &Flag::name)->is_switch;
  if (!is_switch) return member.value.text;
  ASSIGN_OR_RETURN(const bool on, common::ParseBool(member.value.text));
  return std::string(on ? "true" : "");
}

}  // namespace

Status GlobalFlags::FillFromFile() {
  const std::string path = Get("config");
  if (path.empty()) return OkStatus();
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidArgument("--config {}: cannot be read", path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const common::YamlText yaml = common::ParseYaml(text);
  if (!yaml.faults.empty()) {
    return InvalidArgument("{}:{}: {}", path, yaml.faults[0].line, yaml.faults[0].message);
  }
  std::map<std::string, std::string> found;
  for (const common::YamlNode& document : yaml.documents) {
    if (document.kind == common::YamlNode::Kind::kNull) continue;
    if (document.kind != common::YamlNode::Kind::kMap) {
      return InvalidArgument("{}:{}: must be a map of flags, e.g. output: json", path,
                             document.line);
    }
    for (const common::YamlMember& member : document.members) {
      const std::string where =
          fmt::format("{}:{}: {}", path, member.line, common::Printable(member.key));
      StatusOr<std::string> value = MemberValue(member);
      if (!value.ok()) return common::Annotate(value.status(), where);
      if (!found.emplace(member.key, *std::move(value)).second) {
        return InvalidArgument("{}: given twice", where);
      }
    }
  }
  values_.merge(found);  // flags and variables win
  return OkStatus();
}

std::string GlobalFlags::Get(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string() : found->second;
}

StatusOr<Output> GlobalFlags::output() const {
  const std::string text = Get("output");
  if (text.empty() || text == "table") return Output::kTable;
  if (text == "json") return Output::kJson;
  if (text == "yaml") return Output::kYaml;
  return InvalidArgument("-o {}: must be table, json or yaml", text);
}

StatusOr<ConnectionOptions> GlobalFlags::connection() const {
  ConnectionOptions options{
      .insecure = !Get("insecure").empty(),
      .service = Get("service"),
      .tls = {.ca = Get("tls-ca"),
              .cert = Get("tls-cert"),
              .key = Get("tls-key"),
              .token = Get("token-file")}};
  if (const std::string address = Get("control-plane"); !address.empty()) options.address = address;
  if (const std::string text = Get("timeout"); !text.empty()) {
    const auto timeout = common::ParseDuration(text);
    if (!timeout.ok()) return common::Annotate(timeout.status(), "--timeout");
    if (timeout->count() == 0) return InvalidArgument("--timeout must be more than 0");
    options.timeout = *timeout;
  }
  if (!options.service.empty()) {
    if (const Status status = common::ValidateServiceName(options.service); !status.ok()) {
      return common::Annotate(status, "--service");
    }
  }
  const bool has_tls = !(options.tls.ca + options.tls.cert + options.tls.key).empty();
  if (options.insecure && has_tls) {
    return InvalidArgument("--insecure and --tls-… exclude each other: leave one out");
  }
  if (options.insecure && !options.tls.token.empty()) {
    return InvalidArgument(
        "--token-file needs TLS (--tls-ca): a token must not be read on the way");
  }
  if (options.insecure && options.service.empty()) {
    return InvalidArgument("--insecure needs --service NAME: who we are");
  }
  if (!options.insecure && options.tls.ca.empty()) {
    return InvalidArgument(
        "how to connect is not said: give --insecure --service NAME, or --tls-ca "
        "FILE with --tls-cert FILE --tls-key FILE or --token-file FILE");
  }
  return options;
}

}  // namespace ctl
