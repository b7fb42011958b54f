// Cli: tributaryctl's command line from arguments to exit code.
//
// Thread: main; blocks until the verb is done.  Lifetime: pure but for what the verbs do.
#pragma once

#include "common/config.h"
#include "control-plane/ctl/verb.h"

namespace ctl {

// The exit code (exit_code.h). Nothing is thrown. Errors go to io.err: one line, or one line per
// fault of a file.
int RunCli(int argc, const char* const* argv, const common::Environment& environment, const Io& io);

}  // namespace ctl
