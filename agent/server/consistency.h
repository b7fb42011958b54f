// Consistency: whether a local copy may answer a read, as pure functions of what is asked for and
// what is proven.
//
// Thread: any; pure.  Lifetime: values.
// What a read asks for itself comes before what its connection asks for (TRIB.CONSISTENCY), and
// that before what the subscription declares. The guarantees are stated in docs/consistency.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/cache/agent_status.h"
#include "common/clock.h"
#include "common/declarations.h"
#include "common/read_limits.h"
#include "common/version.h"

namespace agent {

// A revision that a read must not be older than. Epoch 0: of whatever history the copy has.
using Token = common::Version;
// "<epoch>.<revision>", as TRIB.LASTREV tells it, or just "<revision>".
std::optional<Token> ParseToken(std::string_view text);

// What a read asks for; absent: as the connection or the subscription has it.
struct ReadNeed {
  std::optional<common::ConsistencyLevel> level = {};
  std::chrono::milliseconds bound{0};  // of kBounded
  std::optional<Token> min_rev = {};
  std::chrono::milliseconds timeout = common::kReadTimeoutDefault;
  bool meta = false;  // wants to know the age and where the answer came from
};

enum class ReadPath {
  kLocal,   // the copy may answer
  kRemote,  // the control plane must
  kStale,   // nobody may: the copy is older than the bound
};

struct Verdict {
  ReadPath path = ReadPath::kLocal;
  std::optional<std::chrono::milliseconds> age = {};  // of kStale; absent: never proven fresh
  std::chrono::milliseconds bound{0};                 // of kStale
};

// How long ago the copy was proven fresh; absent: never.
std::optional<std::chrono::milliseconds> AgeOf(const CopyStatus& copy, common::MonotonicTime now);
// `copy`: what covers the key; null: nothing, so that the look-up says why.
Verdict Judge(const CopyStatus* copy, const ReadNeed& need, common::MonotonicTime now);
// True if every read of these copies that asks for nothing special may be answered by them.
bool AllPlain(const AgentStatus& status);

enum class Reach { kThere, kNotYet, kOtherEpoch };
// Whether a copy at `cursor` holds what the token stands for.
Reach ReachOf(const common::Version& cursor, const Token& token);

}  // namespace agent
