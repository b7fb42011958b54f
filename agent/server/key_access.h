// Looking up keys as clients name them: "<dataset>/<key>".
//
// Thread: the loop.  Lifetime: functions; what is found is valid within the command.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/cache/cache.h"
#include "agent/server/session.h"

namespace agent {

// Splits at the first '/'. Absent, with `error` set: not a key.
std::optional<KeyRef> SplitKey(std::string_view client_key, std::string& error);

// What a read of one key came to. A key that has expired counts as absent.
struct KeyRead {
  std::optional<Found> found = {};
  std::string error = {};  // not empty: the reply, whatever else was asked for
  bool remote = false;     // the control plane has answered
  // How old the answer may be; absent: unknown. Only if the read asks for more than a look-up.
  std::optional<std::chrono::milliseconds> age = {};
};

// Notes that the control plane must be asked for the key; what is returned does not matter.
KeyRead Lacking(Session& session, ReadQuestion::Kind kind, const KeyRef& ref);

// The entry, if a look at it is all that the read takes: ReadKey would find it, and do nothing
// else. Absent: call ReadKey.
std::optional<Found> ReadAtOnce(Session& session, const Reader& reader, const PrefetchedKey& key);

// If the key cannot be answered yet, that is noted in session.lacks() and what is returned does not
// matter: the command runs again.
// Counts the result for the command that runs. `name_key`: errors say which key, for commands that
// take several.
KeyRead ReadKey(Session& session, const Reader& reader, std::string_view client_key,
                bool name_key = false);

}  // namespace agent
