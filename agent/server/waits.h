// Waits: replies that are held back until local copies have come far enough.
//
// Thread: the loop, but for any().  Lifetime: as the server; sessions that go leave theirs behind,
// which then lead to nobody.
// Used by MINREV and TRIB.WAIT, and by writes: +OK is given when this agent's own copy has them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/server/consistency.h"
#include "common/clock.h"

namespace agent {

// What a copy must hold before a reply can be given.
struct WaitTarget {
  std::string dataset;
  std::string key;  // names the copy: the one that covers it
  Token token = {};
  bool until_readable = false;  // wait also while the copy cannot be read
  bool on_demand = false;       // of a copy that holds single keys
};

class Waits {
 public:
  struct Wait {
    std::uint64_t session = 0;
    std::uint64_t ticket = 0;
    std::vector<WaitTarget> targets;
    common::MonotonicTime deadline;
  };
  struct Over {
    std::uint64_t session = 0;
    std::uint64_t ticket = 0;
    bool in_time = false;  // false: its deadline has passed
  };
  // True if nothing is left to wait for.
  using Reached = std::function<bool(const WaitTarget& target)>;

  void Add(Wait wait);
  // Takes out those that are over.
  std::vector<Over> TakeOver(const Reached& reached, common::MonotonicTime now);
  std::optional<common::MonotonicTime> next_deadline() const;
  std::size_t size() const { return waits_.size(); }
  // From any thread; true before the first wait is looked at.
  bool any() const { return any_.load(); }
  // Something was added since the last call: what it waits for may have come before any() was true.
  bool TakeAdded() { return std::exchange(added_, false); }

 private:
  std::vector<Wait> waits_;  // in order of arrival
  std::atomic<bool> any_{false};
  bool added_ = false;
};

}  // namespace agent
