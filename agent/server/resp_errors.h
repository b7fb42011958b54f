// Error replies: the first word is the code, the rest says what to do.
//
// Thread: the loop; pure.  Lifetime: functions.
#pragma once

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
// "ERR <what> is not supported yet", for what the contract promises for later.
std::string NotYetError(std::string_view what);

}  // namespace agent
