// What readers ask the sync thread for: entries of on-demand copies that are not held yet.
//
// Thread: values that cross threads by a mailbox; `done` may be called on any.  Lifetime: values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "common/version.h"

namespace agent {

struct DemandEntry {
  std::string key;
  bool found = false;
  std::string value = {};  // this and all below: if found
  std::string content_type = {};
  common::Version version = {};  // if not found: as in RemoteEntry
  std::int64_t published_at_ms = 0;
  std::int64_t expires_at_ms = 0;
};

struct DemandAnswer {
  // OK: `entries` has one for each key, in the order of the question. NOT_FOUND: no such dataset.
  // PERMISSION_DENIED: not among its consumers. UNAVAILABLE: the control plane is out of reach.
  // DEADLINE_EXCEEDED. FAILED_PRECONDITION: no on-demand copy covers a key (any more).
  common::Status status;
  std::vector<DemandEntry> entries = {};
  // What is told was true then or later.
  common::MonotonicTime as_of = {};
};

struct DemandQuestion {
  std::string dataset;
  std::vector<std::string> keys;
  common::MonotonicTime deadline{};
  std::function<void(DemandAnswer)> done;  // exactly once
};

}  // namespace agent
