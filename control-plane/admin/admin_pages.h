// AdminPages: what the control plane's HTTP side shows, as JSON text.
//
// Thread: any; pure functions over values and the store.
#pragma once

#include <string>

#include "common/clock.h"
#include "control-plane/fanout/hub.h"
#include "control-plane/store/store.h"

namespace cp {

// {"agents": [{service, instance, peer, user_agent, connected_ms, unacked_bytes, copies: [{dataset,
// prefix, state, revision, head, lag, age_ms, digest}]}]}
std::string AgentsPage(const HubStatus& status, common::MonotonicTime now);

// {"epoch", "datasets": [{name, owner, consumers, revision, floor, entries, bytes, digest}]}
common::StatusOr<std::string> DatasetsPage(const Store& store);

}  // namespace cp
