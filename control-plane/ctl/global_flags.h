// GlobalFlags: the flags that every verb shares, from the command line (before or after the verb),
// the environment and a YAML file, in that order of precedence.
//
// Thread: main.  Lifetime: value; outlives the CLI::App it was added to.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/config.h"
#include "common/status.h"
#include "control-plane/ctl/connection.h"
#include "control-plane/ctl/verb.h"

namespace ctl {

// As given, by the flag's name without dashes; a switch that is on holds "true".
class GlobalFlags {
 public:
  // CLI11 writes into this object while it parses.
  void AddTo(CLI::App& app);

  // What is given there stays; the rest comes from `other`.
  void FillFrom(const GlobalFlags& other);
  Status FillFromEnvironment(const common::Environment& environment);
  // The file named by --config, if any. Every fault: "<file>:<line>: <key>: <what to do>".
  Status FillFromFile();

  StatusOr<Output> output() const;
  // INVALID_ARGUMENT: what is missing, or goes not together.
  StatusOr<ConnectionOptions> connection() const;

 private:
  std::string Get(const std::string& name) const;

  std::map<std::string, std::string> values_;
};

}  // namespace ctl
