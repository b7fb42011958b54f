// Healthcheck: `tributary-agent healthcheck`, the probe that needs nothing but the agent's own
// program: asks the admin pages of an agent on this host and exits 0 or 1.
//
// Thread: main.  Lifetime: a function.
// Used by Kubernetes' exec probes and container hooks (docs/kubernetes.md).
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace agent {

// `argv` begins with the program's name, then "healthcheck".
int RunHealthcheck(int argc, const char* const* argv);

// Whether the body of /clients lists none. UNAVAILABLE: how many there are, or that it is no list.
common::Status CheckNoClients(std::string_view clients_page);

}  // namespace agent
