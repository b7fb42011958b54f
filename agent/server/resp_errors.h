// Error replies: the first word is the code, the rest says what to do.
//
// Thread: the loop; pure.  Lifetime: functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "agent/cache/cache.h"
#include "common/status.h"

namespace agent {

inline constexpr std::string_view kNotAKeyError = "ERR key must be <dataset>/<key>";

// Why a dataset (or, with a key, that part of it) cannot be read. REQUIRES: not kReadable.
std::string CoverageError(Coverage coverage, std::string_view dataset, std::string_view key,
                          std::string_view service);
// The cache failed to read.
std::string ReadError(const common::Status& status, std::string_view dataset);
// A write was not applied (or perhaps not; the message says so).
std::string WriteError(const common::Status& status);
// The write is durable, but this agent's copy does not show it yet.
common::Status NotVisibleError(const common::Version& version);
// The control plane has not answered a read of keys of `dataset`.
std::string RemoteReadError(const common::Status& status, std::string_view dataset);
// The copy is older than a read allows; absent age: it was never proven fresh.
std::string StaleError(std::string_view dataset, std::optional<std::chrono::milliseconds> age,
                       std::chrono::milliseconds bound);
// What a command waited for did not come in time.
std::string TimeoutError(std::string_view command);
// A token of another history than that of the copy.
std::string EpochError(const common::Version& token, std::string_view dataset, common::Epoch epoch);
// "ERR <what> is not supported yet", for what the contract promises for later.
std::string NotYetError(std::string_view what);

}  // namespace agent
