// IdleExit: when an agent beside a Job is done, for clusters that cannot tell it (before Kubernetes
// 1.29): the application has been seen – by a socket of any kind in the network namespace that its
// pod shares – and none has been seen for a while.
//
// Thread: one owner.  Lifetime: values; ForeignSockets reads /proc.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace agent {

class IdleExit {
 public:
  enum class Verdict {
    kStay,
    kDone,        // the application came and went
    kNobodyCame,  // not once in `kPatience` idle times: it failed before it could open a socket
  };
  static constexpr int kPatience = 20;

  IdleExit(std::chrono::milliseconds idle, common::MonotonicTime now) : idle_(idle), last_(now) {}
  // `anyone`: the application has a socket now.
  Verdict Step(common::MonotonicTime now, bool anyone);

 private:
  const std::chrono::milliseconds idle_;
  common::MonotonicTime last_;  // when someone was there last; before that, the start
  bool seen_ = false;
};

// Sockets of this network namespace that are not in `own`; connections to or from TCP port
// `own_port` – the probes' – do not count. `proc`: "/proc".
std::size_t ForeignSockets(const std::string& proc, std::uint16_t own_port);

// Parts of it, for tests: the inodes in the text of /proc/net/tcp or udp, and of /proc/net/unix.
std::set<std::uint64_t> InetInodes(std::string_view table, std::uint16_t own_port);
std::set<std::uint64_t> UnixInodes(std::string_view table);

}  // namespace agent
