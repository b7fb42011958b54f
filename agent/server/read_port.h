// ReadPort: how the socket asks for entries that no local copy can answer, and gets them later.
//
// Thread: Read on a loop thread; answers may come on any and are brought back to that loop.
// Lifetime: the port outlives the server.
// The session keeps the order of replies, so an answer may come at any time before the deadline.
// When all that a command has asked for is there, the command runs again with the answers at hand.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "common/version.h"

namespace agent {

struct RemoteEntry {
  std::string key;
  bool found = false;
  std::string value = {};  // this and all below: if found
  std::string content_type = {};
  // If not found: a state of the dataset in which it was absent; epoch 0: none is known.
  common::Version version = {};
  std::int64_t published_at_ms = 0;
  std::int64_t expires_at_ms = 0;  // 0: never
};

struct ReadAnswer {
  // OK: `entries` has one for each key that was asked for, in that order. UNAVAILABLE: the control
  // plane is out of reach (-UNAVAILABLE). DEADLINE_EXCEEDED: no answer in time (-TIMEOUT).
  // PERMISSION_DENIED (-NOPERM), NOT_FOUND (-NODATASET), OUT_OF_RANGE: too big for one answer
  // (-TOOBIG). RESOURCE_EXHAUSTED: too many reads wait (-UNAVAILABLE).
  common::Status status;
  std::vector<RemoteEntry> entries = {};
  common::Epoch epoch = 0;
  // What is told was true at this moment or later: when the question was sent.
  common::MonotonicTime as_of = {};
  bool shared = false;  // with earlier questions: `as_of` may lie before this one
};

struct ReadQuestion {
  enum class Kind {
    kStrong,    // linearizable: the answer holds all that was committed before the question came
    kOnDemand,  // keys that an on-demand copy covers but does not hold (Coverage::kNotHeld): hold
                // them from now on. Many questions for one key are one remote call.
  };
  Kind kind = Kind::kStrong;
  std::string dataset;
  std::vector<std::string> keys;   // not empty
  common::MonotonicTime deadline;  // answered by then, at worst with DEADLINE_EXCEEDED
  // Called exactly once, on any thread, also before Read returns; must not block.
  std::function<void(ReadAnswer)> done;
};

class ReadPort {
 public:
  ReadPort() = default;
  ReadPort(const ReadPort&) = delete;
  ReadPort& operator=(const ReadPort&) = delete;
  virtual ~ReadPort() = default;
  // All questions of one turn of a loop.
  virtual void Read(std::vector<ReadQuestion> questions) = 0;
};

}  // namespace agent
