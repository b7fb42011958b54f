#include "agent/server/waits.h"

#include <algorithm>
#include <utility>

namespace agent {

void Waits::Add(Wait wait) {
  waits_.push_back(std::move(wait));
  added_ = true;
  any_.store(true);
}

std::vector<Waits::Over> Waits::TakeOver(const Reached& reached, common::MonotonicTime now) {
  std::vector<Over> over;
  std::erase_if(waits_, [&](Wait& wait) {
    std::erase_if(wait.targets, reached);
    const bool done = wait.targets.empty();
    if (done || wait.deadline <= now) over.push_back({wait.session, wait.ticket, done});
    return done || wait.deadline <= now;
  });
  any_.store(!waits_.empty());
  return over;
}

std::optional<common::MonotonicTime> Waits::next_deadline() const {
  std::optional<common::MonotonicTime> next;
  for (const Wait& wait : waits_) next = std::min(next.value_or(wait.deadline), wait.deadline);
  return next;
}

}  // namespace agent
