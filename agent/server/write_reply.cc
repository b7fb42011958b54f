#include "agent/server/write_reply.h"

#include <cstdint>

namespace agent {

void ComposeWriteReply(WriteReply reply, const WriteOutcome& outcome, std::size_t first,
                       std::size_t count, RespWriter writer) {
  switch (reply) {
    case WriteReply::kOk:
      return writer.Ok();
    case WriteReply::kOkOrNil:
      return outcome.Skipped(first) ? writer.Null() : writer.Ok();
    case WriteReply::kWritten:
      return writer.Integer(outcome.Skipped(first) ? 0 : 1);
    case WriteReply::kDeleted: {
      std::int64_t deleted = 0;
      for (std::size_t i = 0; i < count; ++i) deleted += outcome.Skipped(first + i) ? 0 : 1;
      return writer.Integer(deleted);
    }
    case WriteReply::kOld: {
      const std::string* old = outcome.Old(first);
      return old != nullptr ? writer.Bulk(*old) : writer.Null();
    }
  }
}

}  // namespace agent
