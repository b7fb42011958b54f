// PublishOnce: one batch on a stream of its own.
//
// Thread: main; blocks.  Lifetime: one call.
#pragma once

#include <string>

#include "control-plane/ctl/connection.h"
#include "tributary/v1/publisher.pb.h"

namespace ctl {

// The outcome of an applied batch. A refusal is its status; after a lost answer the status says
// that the batch may have been applied.
StatusOr<tributary::v1::Result> PublishOnce(const Connection& connection,
                                            tributary::v1::Batch batch);

// 32 hex digits, random.
std::string NewPublisherId();

}  // namespace ctl
