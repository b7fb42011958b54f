// WriteReply: what a write command answers once its batch is durable.
//
// Thread: the loop; pure.  Lifetime: values.
#pragma once

#include <cstddef>

#include "agent/server/resp_writer.h"
#include "agent/server/write_port.h"

namespace agent {

enum class WriteReply {
  kOk,
  kOkOrNil,  // nil: its condition was not met
  kWritten,  // 1, or 0 if its condition was not met
  kDeleted,  // how many of its deletes found an entry
  kOld,      // the value that was there, or nil
};

// `first`, `count`: which of the batch's writes are the command's.
void ComposeWriteReply(WriteReply reply, const WriteOutcome& outcome, std::size_t first,
                       std::size_t count, RespWriter writer);

}  // namespace agent
