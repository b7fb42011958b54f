#include "agent/server/set_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/server/arguments.h"
#include "agent/server/command_table.h"

namespace agent {
namespace {

constexpr std::int64_t kExpiryMsMax = 253'402'300'799'999;  // the year 9999, as Entry can say it

struct ExpiryWord {
  std::string_view word;
  std::int64_t unit_ms;
  bool absolute;
};
constexpr std::array<ExpiryWord, 4> kExpiryWords = {
    {{"EX", 1000, false}, {"PX", 1, false}, {"EXAT", 1000, true}, {"PXAT", 1, true}}};

std::optional<std::string> TakeTime(const ExpiryWord& word, std::string_view text,
                                    std::string_view command, SetOptions& out) {
  const auto number = ParseInteger(text);
  if (!number) return std::string(kNotAnIntegerError);
  if (*number <= 0 || *number > kExpiryMsMax / word.unit_ms) {
    return fmt::format("ERR invalid expire time in '{}' command", command);
  }
  (word.absolute ? out.expires_at_ms : out.expires_in_ms) = *number * word.unit_ms;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ParseSetOptions(std::span<const std::string_view> options,
                                           SetOptions& out) {
  using Condition = SetOptions::Condition;
  out = {};
  const ExpiryWord* given = nullptr;  // words of expiry exclude each other; one may come twice
  std::string_view time;              // read last: errors of syntax come first
  for (std::size_t i = 0; i < options.size(); ++i) {
    const auto is = [&](std::string_view word) { return EqualsIgnoringCase(options[i], word); };
    const auto* const expiry =
        std::ranges::find_if(kExpiryWords, [&](const ExpiryWord& each) { return is(each.word); });
    if (is("NX") && out.condition != Condition::kIfPresent) {
      out.condition = Condition::kIfAbsent;
    } else if (is("XX") && out.condition != Condition::kIfAbsent) {
      out.condition = Condition::kIfPresent;
    } else if (is("GET")) {
      out.get = true;
    } else if (is("KEEPTTL") && given == nullptr) {
      out.keep_ttl = true;
    } else if (expiry != kExpiryWords.end() && i + 1 < options.size() && !out.keep_ttl &&
               (given == nullptr || given == expiry)) {
      given = expiry;
      time = options[++i];
    } else {
      return std::string(kSyntaxError);
    }
  }
  return given != nullptr ? TakeTime(*given, time, "set", out) : std::nullopt;
}

std::optional<std::string> ParseTimeToLive(std::string_view text, std::int64_t unit_ms,
                                           std::string_view command, SetOptions& out) {
  return TakeTime({.word = {}, .unit_ms = unit_ms, .absolute = false}, text, command, out);
}

}  // namespace agent
