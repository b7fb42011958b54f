// ReadQueue: questions that wait for the control plane, gathered into calls, with deadlines,
// retries and a breaker.
//
// Thread: one owner (remote); pure, no I/O, clock or thread.  Lifetime: value of the reader.
// Questions of one dataset that wait share a call. A question never joins a call that is under way:
// the call may have been answered before the question was asked, and would not be linearizable.
// Reads change nothing, so a call that the control plane was not there for is simply made again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/remote/breaker.h"
#include "agent/server/read_port.h"
#include "common/clock.h"
#include "common/status.h"

namespace agent {

class ReadQueue {
 public:
  struct Call {
    std::uint64_t id = 0;
    std::string dataset;
    std::vector<std::string> keys;  // each once
    common::MonotonicTime deadline = {};
  };
  struct Totals {
    std::uint64_t questions = 0;
    std::uint64_t calls = 0;
    std::uint64_t keys = 0;      // sent
    std::uint64_t failures = 0;  // calls that the control plane did not answer
    std::uint64_t refused = 0;   // questions refused because the breaker was open
    bool open = false;           // the breaker
  };

  explicit ReadQueue(std::uint64_t seed) : breaker_(seed) {}

  // `done` of the question is called once, from here or from any call below.
  void Add(ReadQuestion question, common::MonotonicTime now);
  // The next call to make; absent: nothing waits or may go out. Call until absent.
  std::optional<Call> Next(common::MonotonicTime now);
  // `answer.entries` as the call's keys.
  void OnAnswer(std::uint64_t id, ReadAnswer answer, common::MonotonicTime now);
  // Answers those whose time is up; returns calls that nobody waits for any more.
  std::vector<std::uint64_t> Expire(common::MonotonicTime now);
  // When to call Next or Expire again; absent: when something happens.
  std::optional<common::MonotonicTime> next_event(common::MonotonicTime now) const;
  // Answers all: the agent is shutting down.
  void Abandon();

  const Totals& totals() const { return totals_; }

 private:
  struct Waiting {
    ReadQuestion question;
    bool alone = false;  // together with others it was too big for one answer
  };
  struct UnderWay {
    std::vector<Waiting> questions;
    std::map<std::string, std::size_t> position;  // of a key in the call
    common::MonotonicTime sent;
  };

  void Gather(Call& call, UnderWay& under_way);
  bool Fits(const Waiting& waiting, const Call& call, const UnderWay& under_way) const;
  void Join(Waiting waiting, Call& call, UnderWay& under_way);
  void OnFailed(UnderWay under_way, const common::Status& status, common::MonotonicTime now);
  void Retry(UnderWay under_way, bool alone);
  void RefuseWaiting(const common::Status& status);
  void Reply(Waiting& waiting, ReadAnswer answer);
  static void Deliver(UnderWay& under_way, Waiting& waiting, const ReadAnswer& answer);

  Breaker breaker_;
  std::deque<Waiting> waiting_;  // in order of arrival
  std::size_t waiting_keys_ = 0;
  std::map<std::uint64_t, UnderWay> under_way_;  // by call
  std::uint64_t next_id_ = 1;
  std::string last_error_;
  Totals totals_;
};

}  // namespace agent
