// SetOptions: what stands behind key and value of a SET, understood as Redis 7.0 does.
//
// Thread: any; pure.  Lifetime: value.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace agent {

struct SetOptions {
  enum class Condition { kAlways, kIfAbsent, kIfPresent };
  Condition condition = Condition::kAlways;  // NX, XX
  bool get = false;                          // GET: replies with the value that was there
  bool keep_ttl = false;                     // KEEPTTL
  std::int64_t expires_in_ms = 0;            // EX, PX: after the commit; 0: not given
  std::int64_t expires_at_ms = 0;            // EXAT, PXAT: Unix time; 0: not given

  bool operator==(const SetOptions&) const = default;
};

// `options`: what follows the value. The error reply, or nullopt with `out` filled.
std::optional<std::string> ParseSetOptions(std::span<const std::string_view> options,
                                           SetOptions& out);
// SETEX and PSETEX: `unit_ms` times `text`. `command`: for the error, in lower case.
std::optional<std::string> ParseTimeToLive(std::string_view text, std::int64_t unit_ms,
                                           std::string_view command, SetOptions& out);

}  // namespace agent
