// The control plane's metrics that live in the hub and the store.
//
// Thread: main; the values are asked for on the admin server's threads.
// Lifetime: hub and store outlive the last scrape.
#pragma once

#include "common/metrics.h"
#include "control-plane/store/store.h"
#include "control-plane/stream/hub_thread.h"

namespace cp {

void AddControlPlaneMetrics(HubThread& hub, const Store& store, common::Metrics& metrics);

}  // namespace cp
