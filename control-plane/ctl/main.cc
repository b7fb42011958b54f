// tributaryctl: see cli.h.
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "common/config.h"
#include "common/signals.h"
#include "control-plane/ctl/cli.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of its write
  winsize window{};
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  if (is_terminal) ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
  return ctl::RunCli(argc, argv, common::ProcessEnvironment(),
                     {.in = std::cin,
                      .out = std::cout,
                      .err = std::cerr,
                      .err_is_terminal = is_terminal,
                      .columns = window.ws_col > 0 ? window.ws_col : 80u});
}
