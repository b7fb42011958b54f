// ReplyQueue: keeps a client's replies in the order of its commands although writes are answered
// later.
//
// Thread: the loop; pure.  Lifetime: value of a session.
// Replies go straight to the output while no write waits; else to the tail of the newest one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "agent/server/write_port.h"

namespace agent {

class ReplyQueue {
 public:
  // Writes the reply to a write, given its outcome, to `out`.
  using Compose = std::function<void(const WriteOutcome& outcome, std::string& out)>;

  // Where the next reply goes; valid until the next call of Add or Settle.
  std::string& tail() { return waiting_.empty() ? output_ : waiting_.back().after; }
  // Complete replies, to be sent and cleared by the connection.
  std::string& output() { return output_; }
  const std::string& output() const { return output_; }
  std::size_t waiting() const { return waiting_.size(); }

  // The reply of a write that is under way; returns its ticket.
  std::uint64_t Add(Compose compose) {
    waiting_.push_back({.compose = std::move(compose)});
    return first_ticket_ + waiting_.size() - 1;
  }

  // The outcome of a write. Replies that need wait for no other move to the output.
  void Settle(std::uint64_t ticket, WriteOutcome outcome) {
    waiting_.at(ticket - first_ticket_).outcome = std::move(outcome);
    while (!waiting_.empty() && waiting_.front().outcome.has_value()) {
      const Waiting done = std::move(waiting_.front());
      waiting_.pop_front();
      ++first_ticket_;
      done.compose(*done.outcome, output_);
      output_ += done.after;
    }
  }

 private:
  struct Waiting {
    Compose compose;
    std::optional<WriteOutcome> outcome = {};
    std::string after = {};  // replies to what came behind it
  };
  std::string output_;
  std::deque<Waiting> waiting_;
  std::uint64_t first_ticket_ = 1;
};

}  // namespace agent
