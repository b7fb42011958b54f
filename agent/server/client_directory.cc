#include "agent/server/client_directory.h"

namespace agent {

std::optional<ClientDirectory::Seat> ClientDirectory::Admit() {
  common::MutexLock lock(mutex_);
  if (loops_.size() >= clients_max_) return std::nullopt;
  const Seat seat{.client = next_client_++, .loop = NextLoop()};
  loops_.emplace(seat.client, seat.loop);
  ++counts_[seat.loop];
  return seat;
}

void ClientDirectory::Remove(std::uint64_t client) {
  common::MutexLock lock(mutex_);
  const auto found = loops_.find(client);
  if (found == loops_.end()) return;
  --counts_[found->second];
  loops_.erase(found);
}

std::optional<std::size_t> ClientDirectory::LoopOf(std::uint64_t client) const {
  common::MutexLock lock(mutex_);
  const auto found = loops_.find(client);
  return found == loops_.end() ? std::nullopt : std::optional(found->second);
}

std::size_t ClientDirectory::NextLoop() {
  std::size_t best = (last_loop_ + 1) % counts_.size();
  for (std::size_t i = 1; i < counts_.size(); ++i) {
    const std::size_t loop = (last_loop_ + 1 + i) % counts_.size();
    if (counts_[loop] < counts_[best]) best = loop;
  }
  return last_loop_ = best;
}

}  // namespace agent
