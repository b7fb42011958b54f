#include "common/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/suggest.h"
#include "common/units.h"
#include "common/yaml.h"

namespace common {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

using Values = std::vector<std::string>;

bool IsSwitch(const Option& option) { return std::holds_alternative<bool*>(option.target); }
bool IsList(const Option& option) {
  return std::holds_alternative<std::vector<std::string>*>(option.target);
}

std::string Join(const Values& values, std::string_view separator) {
  return fmt::format("{}", fmt::join(values, separator));
}

// --- values -----------------------------------------------------------------------------------

Status CheckText(const Option& option, const std::string& value) {
  if (!option.choices.empty() &&
      std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end()) {
    return InvalidArgument("\"{}\" is not one of {}", value, Join(option.choices, ", "));
  }
  return option.check ? option.check(value) : OkStatus();
}

template <class Parsed, class Target>
Status Assign(Parsed parsed, Target& target) {
  if (!parsed.ok()) return parsed.status();
  target = *parsed;
  return OkStatus();
}

// REQUIRES: one value, unless the option is a list.
Status SetTarget(const Option& option, const Values& values) {
  const std::string& value = values.empty() ? std::string() : values.back();
  return std::visit(
      Overloaded{
          [&](bool* target) { return Assign(ParseBool(value), *target); },
          [&](std::uint64_t* target) { return Assign(ParseUnsigned(value), *target); },
          [&](std::chrono::milliseconds* target) { return Assign(ParseDuration(value), *target); },
          [&](ByteSize* target) { return Assign(ParseSize(value), target->bytes); },
          [&](FileMode* target) { return Assign(ParseMode(value), target->bits); },
          [&](std::string* target) {
            *target = value;
            return CheckText(option, value);
          },
          [&](std::vector<std::string>* target) {
            *target = values;
            for (const std::string& each : values) RETURN_IF_ERROR(CheckText(option, each));
            return OkStatus();
          }},
      option.target);
}

std::string TextOf(const Option& option) {
  return std::visit(
      Overloaded{[](const bool* target) { return std::string(*target ? "true" : "false"); },
                 [](const std::uint64_t* target) { return fmt::format("{}", *target); },
                 [](const std::chrono::milliseconds* target) { return FormatDuration(*target); },
                 [](const ByteSize* target) { return FormatSize(target->bytes); },
                 [](const FileMode* target) { return FormatMode(target->bits); },
                 [](const std::string* target) { return *target; },
                 [](const std::vector<std::string>* target) { return Join(*target, ","); }},
      option.target);
}

std::string Placeholder(const Option& option) {
  if (!option.value.empty()) return option.value;
  if (!option.choices.empty()) return Join(option.choices, "|");
  return std::visit(
      Overloaded{[](const bool*) { return ""; }, [](const std::uint64_t*) { return "NUMBER"; },
                 [](const std::chrono::milliseconds*) { return "DURATION"; },
                 [](const ByteSize*) { return "SIZE"; }, [](const FileMode*) { return "MODE"; },
                 [](const auto*) { return "TEXT"; }},
      option.target);
}

// --- sources ----------------------------------------------------------------------------------

std::string Suggestion(const std::string& key, const std::vector<Option>& options) {
  std::vector<std::string_view> names;
  names.reserve(options.size());
  for (const Option& option : options) names.push_back(option.name);
  return DidYouMean(key, names);
}

struct CommandLine {
  bool help = false;
  bool version = false;
  std::map<std::string, Values> values;  // by option name
};

// CLI11 only takes argv apart; values are read by SetTarget.
StatusOr<CommandLine> ParseArguments(const std::vector<Option>& options, int argc,
                                     const char* const* argv) {
  CommandLine line;
  CLI::App app;
  app.set_help_flag();
  app.add_flag("-h,--help", line.help);
  app.add_flag("--version", line.version);
  std::map<std::string, Values> values;
  std::map<std::string, CLI::Option*> parsed;
  for (const Option& option : options) {
    const std::string flag = "--" + option.name;
    parsed[option.name] =
        IsSwitch(option) ? app.add_flag(flag)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
                         : app.add_option(flag, values[option.name])->allow_extra_args(false);
  }
  try {
    app.parse(argc, argv);
    for (const auto& [name, option] : parsed) {
      if (option->count() > 0) line.values[name] = option->results();
    }
  } catch (const CLI::ExtrasError&) {
    const std::vector<std::string> extras = app.remaining();
    const std::string name = extras.front().substr(0, extras.front().find('='));
    return InvalidArgument("unknown argument: {}{}", Join(extras, " "),
                           name.rfind("--", 0) == 0 ? Suggestion(name.substr(2), options) : "");
  } catch (const CLI::ParseError& error) {
    return InvalidArgument("{}", error.what());
  }
  return line;
}

Values SplitAtCommas(const std::string& text) {
  Values parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

struct FileValue {
  std::string where;  // "agent.yaml:3: key"
  Values values;
};
using FileValues = std::map<std::string, FileValue>;

StatusOr<Values> YamlValues(const Option& option, const YamlNode& node) {
  using Kind = YamlNode::Kind;
  if (node.kind == Kind::kScalar) return Values{node.text};
  const bool fits = IsList(option) && node.kind == Kind::kSequence &&
                    std::all_of(node.items.begin(), node.items.end(),
                                [](const YamlNode& item) { return item.kind == Kind::kScalar; });
  if (!fits) {
    return InvalidArgument("must be {}, not {}", IsList(option) ? "a list of texts" : "one value",
                           Describe(node));
  }
  Values values;
  for (const YamlNode& item : node.items) values.push_back(item.text);
  return values;
}

void ReadYamlMap(const YamlNode& root, const std::string& path, const std::vector<Option>& options,
                 FileValues& values, Values& faults) {
  for (const YamlMember& member : root.members) {
    const std::string where = fmt::format("{}:{}: {}", path, member.line, Printable(member.key));
    const auto option = std::find_if(options.begin(), options.end(),
                                     [&](const Option& each) { return each.name == member.key; });
    if (option == options.end() || member.key == "config") {
      faults.push_back(fmt::format("{}: unknown key{}; --help lists the options", where,
                                   Suggestion(member.key, options)));
    } else if (values.count(member.key) > 0) {
      faults.push_back(fmt::format("{}: given twice", where));
    } else if (const auto read = YamlValues(*option, member.value); !read.ok()) {
      faults.push_back(fmt::format("{}: {}", where, Message(read.status())));
    } else {
      values[member.key] = {where, *read};
    }
  }
}

FileValues ReadFile(const std::string& path, const std::vector<Option>& options, Values& faults) {
  FileValues values;
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || (text << file.rdbuf()).bad()) {
    faults.push_back(fmt::format("--config: cannot read {}", path));
    return values;
  }
  const YamlText yaml = ParseYaml(text.str());
  for (const YamlFault& fault : yaml.faults) {
    faults.push_back(fmt::format("{}:{}: {}", path, fault.line, fault.message));
  }
  for (const YamlNode& root : yaml.documents) {
    if (root.kind == YamlNode::Kind::kMap) {
      ReadYamlMap(root, path, options, values, faults);
    } else if (root.kind != YamlNode::Kind::kNull) {
      faults.push_back(fmt::format("{}:{}: must be a map of options, e.g. admin: 127.0.0.1:9901",
                                   path, root.line));
    }
  }
  return values;
}

// One option from the first source that has it.
void LoadOption(const Option& option, const CommandLine& line, const Environment& environment,
                const FileValues& file, Values& faults) {
  std::string where;
  Values values;
  const std::string variable = VariableOf(option.name);
  if (const auto flag = line.values.find(option.name); flag != line.values.end()) {
    where = "--" + option.name;
    values = flag->second;
  } else if (const auto text = environment(variable); text && !(IsList(option) && text->empty())) {
    where = variable;
    values = IsList(option) ? SplitAtCommas(*text) : Values{*text};
  } else if (const auto key = file.find(option.name); key != file.end()) {
    where = key->second.where;
    values = key->second.values;
  } else {
    return;
  }
  const Status set = SetTarget(option, values);
  if (!set.ok()) faults.push_back(fmt::format("{}: {}", where, Message(set)));
}

std::vector<Option> WithConfig(std::vector<Option> options, std::string* config) {
  options.push_back({"General", "config", config, "FILE",
                     "YAML file of options, by the names of the flags without dashes in front"});
  return options;
}

// --- text -------------------------------------------------------------------------------------

// Sections in the order in which they first appear.
Values Sections(const std::vector<Option>& options) {
  Values sections;
  for (const Option& option : options) {
    if (std::find(sections.begin(), sections.end(), option.section) == sections.end()) {
      sections.push_back(option.section);
    }
  }
  return sections;
}

void AppendHelp(const Option& option, std::string& text) {
  const std::string placeholder = Placeholder(option);
  const std::string head =
      fmt::format("  --{}{}{}", option.name, placeholder.empty() ? "" : " ", placeholder);
  const std::string value = TextOf(option);
  std::string notes;
  if (!IsSwitch(option) && !value.empty()) notes += fmt::format(" (default {})", value);
  if (IsList(option)) notes += " (repeatable)";
  const std::string gap = head.size() > 34 ? "\n" + std::string(36, ' ') : "";
  text += fmt::format("{:<36}{}{}{}\n", head, gap, option.help, notes);
}

}  // namespace

std::string BuildVersion() { return TRIBUTARY_VERSION; }

std::string VariableOf(std::string_view option_name) {
  std::string variable = "TRIBUTARY_";
  for (const char c : option_name) {
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return variable;
}

Environment ProcessEnvironment() {
  return [](const std::string& variable) -> std::optional<std::string> {
    const char* value = std::getenv(variable.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

std::string HelpText(const Program& program, const std::vector<Option>& options) {
  std::string config;
  const std::vector<Option> all = WithConfig(options, &config);
  std::string text =
      fmt::format("{}: {}\n\nUsage: {} [OPTIONS]\n", program.name, program.summary, program.name);
  for (const std::string& section : Sections(all)) {
    text += fmt::format("\n{}:\n", section);
    for (const Option& option : all) {
      if (option.section == section) AppendHelp(option, text);
    }
    if (section == "General") {
      text += fmt::format("{:<36}Print this text and exit\n", "  -h, --help");
      text += fmt::format("{:<36}Print the version and exit\n", "  --version");
    }
  }
  return text +
         "\nEvery option is also an environment variable (--data-dir: TRIBUTARY_DATA_DIR) and a "
         "key "
         "of the\n--config file (data-dir: …). A flag wins over a variable, a variable over the "
         "file.\n";
}

std::string MarkdownTable(const std::vector<Option>& options) {
  std::string config;
  const std::vector<Option> all = WithConfig(options, &config);
  std::string text;
  for (const std::string& section : Sections(all)) {
    text += fmt::format(
        "### {}\n\n| flag | variable | YAML key | default | meaning |\n|---|---|---|---|---|\n",
        section);
    for (const Option& option : all) {
      if (option.section != section) continue;
      std::string placeholder = Placeholder(option);
      for (std::size_t at = 0; (at = placeholder.find('|', at)) != std::string::npos; at += 2) {
        placeholder.replace(at, 1, "\\|");
      }
      const std::string value = TextOf(option);
      text += fmt::format("| `--{}{}{}` | `{}` | {} | {} | {}{} |\n", option.name,
                          placeholder.empty() ? "" : " ", placeholder, VariableOf(option.name),
                          option.name == "config" ? "" : "`" + option.name + "`",
                          value.empty() ? "none" : "`" + value + "`", option.help,
                          IsList(option) ? " (repeatable)" : "");
    }
    text += "\n";
  }
  return text;
}

std::string OptionsJson(const std::vector<Option>& options) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const Option& option : options) {
    if (const auto* const* list = std::get_if<std::vector<std::string>*>(&option.target)) {
      json[option.name] = **list;
    } else {
      json[option.name] = TextOf(option);
    }
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

LoadOutcome UsageError(const Program& program, std::string_view message) {
  return {kExitUsage, fmt::format("{}: {}\nTry {} --help.\n", program.name, message, program.name)};
}

LoadOutcome LoadOptions(const Program& program, const std::vector<Option>& options, int argc,
                        const char* const* argv, const Environment& environment) {
  const std::string help = HelpText(program, options);  // before the defaults are overwritten
  std::string config;
  const std::vector<Option> all = WithConfig(options, &config);
  const StatusOr<CommandLine> line = ParseArguments(all, argc, argv);
  if (!line.ok()) return UsageError(program, Message(line.status()));
  if (line->help) return {0, help};
  if (line->version) return {0, fmt::format("{} {}\n", program.name, program.version)};

  Values faults;
  LoadOption(all.back(), *line, environment, {}, faults);  // --config itself
  FileValues file;
  if (!config.empty()) file = ReadFile(config, all, faults);
  for (const Option& option : options) LoadOption(option, *line, environment, file, faults);
  if (!faults.empty()) return UsageError(program, Join(faults, "\n" + program.name + ": "));
  return {};
}

}  // namespace common
