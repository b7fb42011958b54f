// ReplyQueue: keeps a client's replies in the order of its commands although some are answered
// later.
//
// Thread: the loop; pure.  Lifetime: value of a session.
// Replies go straight to the output while nothing waits; else to the tail of the newest that does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

namespace agent {

class ReplyQueue {
 public:
  // Writes a reply to `out`. Called when all replies before it are complete.
  using Compose = std::function<void(std::string& out)>;

  // Where the next reply goes; valid until the next call of Add or Settle.
  std::string& tail() { return waiting_.empty() ? output_ : waiting_.back().after; }
  // Complete replies, to be sent and cleared by the connection.
  std::string& output() { return output_; }
  const std::string& output() const { return output_; }
  std::size_t waiting() const { return waiting_.size(); }

  // Keeps the place of a reply that comes later; returns its ticket.
  std::uint64_t Add() {
    waiting_.emplace_back();
    return first_ticket_ + waiting_.size() - 1;
  }

  // The reply is known. Replies that need wait for no other move to the output.
  void Settle(std::uint64_t ticket, Compose compose) {
    waiting_.at(ticket - first_ticket_).compose = std::move(compose);
    while (!waiting_.empty() && waiting_.front().compose) {
      const Waiting done = std::move(waiting_.front());
      waiting_.pop_front();
      ++first_ticket_;
      done.compose(output_);
      output_ += done.after;
    }
  }

 private:
  struct Waiting {
    Compose compose = {};
    std::string after = {};  // replies to what came behind it
  };
  std::string output_;
  std::deque<Waiting> waiting_;
  std::uint64_t first_ticket_ = 1;
};

}  // namespace agent
