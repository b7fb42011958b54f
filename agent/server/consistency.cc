#include "agent/server/consistency.h"

#include <algorithm>
#include <charconv>

namespace agent {

using common::ConsistencyLevel;
using common::OnStale;
using std::chrono::milliseconds;

std::optional<Token> ParseToken(std::string_view text) {
  if (text.find('.') != std::string_view::npos) {
    const auto version = common::ParseVersion(text);
    return version && version->epoch != 0 ? version : std::nullopt;
  }
  Token token;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), token.revision);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return token;
}

std::optional<milliseconds> AgeOf(const CopyStatus& copy, common::MonotonicTime now) {
  if (!copy.proven_at) return std::nullopt;
  const auto age = std::chrono::duration_cast<milliseconds>(now - *copy.proven_at);
  return std::max(age, milliseconds(0));
}

Verdict Judge(const CopyStatus* copy, const ReadNeed& need, common::MonotonicTime now) {
  if (copy == nullptr) return {};
  if (copy->mode == common::Mode::kReadThrough || copy->bridged) return {ReadPath::kRemote};
  const ConsistencyLevel level = need.level.value_or(copy->consistency.level);
  if (level == ConsistencyLevel::kStrong) return {ReadPath::kRemote};
  if (level == ConsistencyLevel::kEventual) return {};
  const milliseconds bound = need.level ? need.bound : copy->consistency.max_staleness;
  const std::optional<milliseconds> age = AgeOf(*copy, now);
  if (age && *age <= bound) return {};
  // A client that names a bound is not served anything older.
  OnStale on_stale = copy->consistency.on_stale;
  if (need.level && on_stale == OnStale::kServe) on_stale = OnStale::kError;
  if (on_stale == OnStale::kServe) return {};
  if (on_stale == OnStale::kReadThrough) return {ReadPath::kRemote};
  return {ReadPath::kStale, age, bound};
}

bool AllPlain(const AgentStatus& status) {
  return std::ranges::all_of(status.copies, [](const CopyStatus& copy) {
    return copy.mode != common::Mode::kReadThrough && !copy.bridged &&
           copy.consistency.level == ConsistencyLevel::kEventual;
  });
}

Reach ReachOf(const common::Version& cursor, const Token& token) {
  if (cursor.epoch == 0) return Reach::kNotYet;  // an on-demand copy that was never proven
  if (token.epoch != 0 && token.epoch != cursor.epoch) return Reach::kOtherEpoch;
  return cursor.revision >= token.revision ? Reach::kThere : Reach::kNotYet;
}

}  // namespace agent
