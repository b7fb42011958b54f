// Config: one table of options a program, read from its command line, its environment and a YAML
// file, printed as --help and as a table for docs/configuration.md.
//
// Thread: main, before any other starts.  Lifetime: the targets outlive the table.
// Precedence: flag > environment > --config FILE > the value that the target held before, which is
// the default. An option "data-dir" is the flag --data-dir, the variable TRIBUTARY_DATA_DIR and the
// YAML key data-dir. A repeatable option takes its values from one source only: the flag once per
// value, the variable separated by commas, the key as a list. Other variables that begin with
// TRIBUTARY_ are ignored: Kubernetes sets some for a service of that name.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/status.h"

namespace common {

inline constexpr int kExitUsage = 64;  // EX_USAGE of sysexits.h

struct ByteSize {
  std::uint64_t bytes = 0;
};
struct FileMode {
  std::uint32_t bits = 0;
};

// Where the value goes; its type says how text is read (common/units.h). A vector: repeatable.
using OptionTarget = std::variant<bool*, std::string*, std::uint64_t*, std::chrono::milliseconds*,
                                  ByteSize*, FileMode*, std::vector<std::string>*>;

struct Option {
  std::string section;  // heading in --help
  std::string name;     // "data-dir"
  OptionTarget target;
  std::string value;  // what stands for the value in --help: "DIR"; empty: by type
  std::string help;   // one sentence without its full stop
  std::vector<std::string> choices = {};  // of a string; empty: any
  // Checks one value further (of a string or of each of a list).
  std::function<Status(std::string_view)> check = {};
};

// The version of this build, "0.1.0".
std::string BuildVersion();

struct Program {
  std::string name;     // "tributary-agent"
  std::string version;  // BuildVersion()
  std::string summary;  // one sentence
};

// What main does next.
struct LoadOutcome {
  std::optional<int> exit_code;  // absent: run. 0: print `text` to stdout. 64: to stderr.
  std::string text;
};

using Environment = std::function<std::optional<std::string>(const std::string& variable)>;
Environment ProcessEnvironment();

// Fills the targets. --help, --version and --config are added to the table. Every fault is
// reported, not only the first, each naming the flag, the variable, or file, line and key; then the
// targets hold no promise.
LoadOutcome LoadOptions(const Program& program, const std::vector<Option>& options, int argc,
                        const char* const* argv, const Environment& environment);

// For faults between options that main finds: LoadOutcome with exit code 64.
LoadOutcome UsageError(const Program& program, std::string_view message);

std::string HelpText(const Program& program, const std::vector<Option>& options);
// A table in Markdown: flag, variable, default, meaning; one per section.
std::string MarkdownTable(const std::vector<Option>& options);

// The options as they are in force, as one JSON object of texts, for /config_dump.
std::string OptionsJson(const std::vector<Option>& options);

std::string VariableOf(std::string_view option_name);  // TRIBUTARY_DATA_DIR

}  // namespace common
