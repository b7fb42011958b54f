// reference NAME: prints one generated part of docs/ – options of the programs, commands of the
// socket – from the tables that the programs themselves use. See tests/docs/docs.py.
#include <iostream>
#include <string_view>

#include "agent/options.h"
#include "agent/server/command_table.h"
#include "control-plane/options.h"

int main(int argc, char** argv) {
  const std::string_view name = argc == 2 ? argv[1] : "";
  if (name == "control-plane") {
    cp::Options options;
    std::cout << common::MarkdownTable(cp::OptionTable(options));
  } else if (name == "agent") {
    agent::AgentOptions options;
    std::cout << common::MarkdownTable(agent::OptionTable(options));
  } else if (name == "commands") {
    std::cout << agent::CommandReference();
  } else {
    std::cerr << "usage: reference control-plane|agent|commands\n";
    return common::kExitUsage;
  }
  return 0;
}
