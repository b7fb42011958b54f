// The bounds of one batch, as far as the socket knows them; the control plane judges the rest.
//
// Thread: any; pure.  Lifetime: functions.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/write_port.h"
#include "common/limits.h"

namespace agent {

inline std::size_t BytesOf(const std::vector<SocketWrite>& writes) {
  std::size_t bytes = 0;
  for (const SocketWrite& write : writes) {
    bytes += write.key.size() + (write.value ? write.value->size() : 0);
  }
  return bytes;
}

inline std::optional<std::string> BatchLimitError(std::size_t entries, std::size_t bytes) {
  if (entries > common::kBatchEntriesMax) {
    return fmt::format("TOOBIG batch of {} entries; at most {}", entries, common::kBatchEntriesMax);
  }
  if (bytes > common::kBatchBytesMax) {
    return fmt::format("TOOBIG batch of {} bytes; at most {}", bytes, common::kBatchBytesMax);
  }
  return std::nullopt;
}

}  // namespace agent
