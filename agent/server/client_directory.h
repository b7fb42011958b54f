// ClientDirectory: which clients there are, and which loop each belongs to.
//
// Thread: any.  Lifetime: that of the loops.
// Shared by the loops, since the limit of clients and their ids are the whole agent's: a client
// must be found (REDIRECT), counted and refused at once, not after a round of messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/mutex.h"

namespace agent {

class ClientDirectory {
 public:
  // REQUIRES: loops ≥ 1.
  ClientDirectory(std::size_t loops, std::size_t clients_max)
      : clients_max_(clients_max), counts_(loops) {}

  struct Seat {
    std::uint64_t client = 0;  // id, never used before
    std::size_t loop = 0;
  };
  // Of a new client: on the loop with the fewest, in turn among equals. Absent: as many are here as
  // may be.
  std::optional<Seat> Admit() TSA_EXCLUDES(mutex_);
  void Remove(std::uint64_t client) TSA_EXCLUDES(mutex_);
  std::optional<std::size_t> LoopOf(std::uint64_t client) const TSA_EXCLUDES(mutex_);

 private:
  std::size_t NextLoop() TSA_REQUIRES(mutex_);

  const std::size_t clients_max_;
  mutable common::Mutex mutex_;
  std::unordered_map<std::uint64_t, std::size_t> loops_ TSA_GUARDED_BY(mutex_);  // by client
  std::vector<std::size_t> counts_ TSA_GUARDED_BY(mutex_);                       // by loop
  std::uint64_t next_client_ TSA_GUARDED_BY(mutex_) = 1;
  std::size_t last_loop_ TSA_GUARDED_BY(mutex_) = SIZE_MAX;
};

}  // namespace agent
