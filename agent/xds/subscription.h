// DeltaSubscription: the client's side of one resource type on delta xDS – which names are wanted,
// what the server has been told, which answers are due.
//
// Thread: one owner (sync); pure, no I/O, clock or lock.  Lifetime: outlives the streams; what
// belongs to one stream is forgotten by OnStreamOpened.
// A request costs what it says, not what is subscribed: on-demand copies have many names.
// Rules: docs/protocol.md; the protocol's own text: a name's interest outlives its resource, a
// subscription is compared with what was last sent, an ACK carries no subscription changes.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/delta_codec.h"

namespace agent {

class DeltaSubscription {
 public:
  explicit DeltaSubscription(std::string type_url) : type_url_(std::move(type_url)) {}

  const std::string& type_url() const { return type_url_; }

  // A name that was dropped and is wanted again is subscribed again, so that it is sent again.
  void Want(const std::string& name);
  void Drop(const std::string& name);
  // Subscribes a wanted name again: the server must answer it. No effect if it is not wanted.
  void Ask(const std::string& name);
  // Unsubscribes and subscribes a wanted name in two requests, so that it starts from nothing.
  void Restart(const std::string& name);
  bool wants(std::string_view name) const;
  bool opened() const { return opened_; }  // the first request of this stream has been made

  // Nothing has been said on the new stream, and no answer of an old one is owed any more.
  void OnStreamOpened();

  // The next request to send; absent: nothing to say. Call until absent. Initial versions belong
  // into the first one of a stream.
  std::optional<common::DeltaRequest> Next(common::MonotonicTime now);

  // An answer about `name` came: a resource, a removal or an error.
  void OnAnswer(std::string_view name);
  // Names asked longer than `timeout` ago that have had no answer; each is told once per question.
  // `timeout` may only differ between streams.
  std::vector<std::string> TakeOverdue(common::MonotonicTime now,
                                       std::chrono::milliseconds timeout);
  // When the oldest unanswered question about `name` was sent.
  std::optional<common::MonotonicTime> asked_at(std::string_view name) const;

 private:
  struct Name {
    bool wanted = true;
    bool subscribed = false;  // as the server sees it on this stream
    bool ask = false;         // subscribe even though subscribed
    bool restart = false;     // unsubscribe first
    bool told_overdue = false;
    std::optional<common::MonotonicTime> asked_at;
  };

  bool TakeSubscribe(const std::string& text, Name& name, common::MonotonicTime now);

  const std::string type_url_;
  std::map<std::string, Name, std::less<>> names_;
  std::set<std::string> dirty_;  // names that Next has to look at
  // Questions in the order in which they were sent; those that were answered stay until their time.
  std::deque<std::pair<common::MonotonicTime, std::string>> questions_;
  bool opened_ = false;
};

}  // namespace agent
