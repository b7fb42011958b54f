// Read options: what TRIB.GET, TRIB.MGET and TRIB.CONSISTENCY say about a read, parsed.
//
// Thread: any; pure.  Lifetime: functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "agent/server/command_table.h"
#include "agent/server/consistency.h"

namespace agent {

// [MAXSTALE ms] [MINREV rev] [STRONG] [TIMEOUT ms] [WITHMETA], in any order, onto `need`. The
// error reply, or nullopt.
std::optional<std::string> ParseReadOptions(Args options, ReadNeed& need);

// EVENTUAL | BOUNDED ms | STRONG | DEFAULT: what reads ask for that ask for nothing themselves.
std::optional<std::string> ParseConsistency(Args args, ReadNeed& need);

// A time in milliseconds within [min, max]; the error names `what`.
std::optional<std::string> ParseMillis(std::string_view what, std::string_view text,
                                       std::chrono::milliseconds min, std::chrono::milliseconds max,
                                       std::chrono::milliseconds& out);
// A revision or a token; the error names `what`.
std::optional<std::string> ParseTokenArgument(std::string_view what, std::string_view text,
                                              Token& out);

}  // namespace agent
