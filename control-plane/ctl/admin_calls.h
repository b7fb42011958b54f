// AdminCalls: the questions that several verbs ask the control plane.
//
// Thread: main; each blocks for at most the connection's time limit.  Lifetime: one call.
#pragma once

#include <string>
#include <vector>

#include "control-plane/ctl/connection.h"
#include "control-plane/ctl/objects.h"
#include "tributary/v1/admin.pb.h"

namespace ctl {

// `name` empty: all. NOT_FOUND: there is none of that name.
StatusOr<std::vector<Json>> ListObjects(const Connection& connection, const std::string& kind,
                                        const std::string& name);

// `dataset` empty: all. NOT_FOUND: it is not declared.
StatusOr<tributary::v1::StatusResponse> GetStatus(const Connection& connection,
                                                  const std::string& dataset);

// Reads the whole dataset at the control plane, or looks one `key` up (empty: none). No time limit.
StatusOr<tributary::v1::VerifyResponse> GetVerified(const Connection& connection,
                                                    const std::string& dataset,
                                                    const std::string& key);

}  // namespace ctl
