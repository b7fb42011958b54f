// Request: one xDS request of either variant as the hub takes it, decoded where it arrived.
//
// Thread: ParseRequest on any, the request then belongs to the hub.  Lifetime: value.
#pragma once

#include <memory>
#include <string_view>

#include "common/delta_codec.h"
#include "common/status.h"
#include "control-plane/fanout/initial_versions.h"

namespace cp {

enum class Variant {
  kDelta,
  kSotw,  // state of the world: each response holds everything that is subscribed
};

struct Request {
  common::DeltaRequest message;  // but for its initial versions
  InitialVersions versions = {};
};

// INVALID_ARGUMENT or RESOURCE_EXHAUSTED names the fault. `charge` is released when nothing of the
// request's initial versions is needed any more.
common::StatusOr<Request> ParseRequest(Variant variant, std::string_view bytes,
                                       std::shared_ptr<void> charge = {});

}  // namespace cp
