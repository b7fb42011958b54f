// Units: durations, sizes, file modes and truth values as people write them.
//
// Thread: any.  Lifetime: pure functions over values.
// Errors are INVALID_ARGUMENT and say what a good value looks like; the caller names the option.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace common {

// "250ms", "1s", "1.5h", "1h30m"; units ms s m h d. "0" needs no unit. Not negative, at most 10,000
// days; finer than a millisecond is an error.
StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view text);
// The shortest text that ParseDuration reads back: "0s", "250ms", "1m30s", "24h".
std::string FormatDuration(std::chrono::milliseconds duration);

// Bytes: "1048576", "512KiB", "64GiB", "10MB" (powers of 1000); units B KB MB GB TB KiB MiB GiB
// TiB.
StatusOr<std::uint64_t> ParseSize(std::string_view text);
// The shortest exact text in binary units: "64GiB", "1000B".
std::string FormatSize(std::uint64_t bytes);

// A file mode in octal, at most 0777: "0660", "660".
StatusOr<std::uint32_t> ParseMode(std::string_view text);
std::string FormatMode(std::uint32_t mode);  // "0660"

// true yes on 1, false no off 0; in any case of letters.
StatusOr<bool> ParseBool(std::string_view text);

// A decimal number without sign.
StatusOr<std::uint64_t> ParseUnsigned(std::string_view text);

}  // namespace common
