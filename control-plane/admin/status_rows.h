// StatusRows: what the hub and the store know, as the rows of Admin's answers.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "control-plane/fanout/hub.h"
#include "control-plane/store/store.h"
#include "tributary/v1/admin.pb.h"

namespace cp {

std::int64_t MillisBetween(common::MonotonicTime from, common::MonotonicTime to);

void FillAgent(const AgentRow& row, common::MonotonicTime now, tributary::v1::AgentStatus& agent);
void FillCopy(const CopyRow& row, common::MonotonicTime now, tributary::v1::CopyStatus& copy);
void FillDataset(const std::string& name, const std::string& owner,
                 const std::optional<DatasetState>& state, tributary::v1::DatasetStatus& dataset);

// What only the store can tell of Admin.Verify: the dataset read anew, or one key of it.
// NOT_FOUND: not declared.
common::Status FillVerify(const Store& store, const tributary::v1::VerifyRequest& request,
                          tributary::v1::VerifyResponse& response);
// And who holds which version. REQUIRES: FillVerify has run.
void FillVerifyCopies(const HubStatus& hub, const tributary::v1::VerifyRequest& request,
                      common::MonotonicTime now, tributary::v1::VerifyResponse& response);

}  // namespace cp
