// Link: an agent and its side of the simulated network: delays, order, loss of a whole stream.
//
// Thread: one.  Lifetime: of the world.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>

#include "tests/sim/sim_world.h"

namespace sim {

class SimWorld::Link final : public agent::RequestSink {
 public:
  Link(SimWorld& world, const std::string& dir, const std::string& service)
      : world_(world), agent_(dir, service, world.queue_, *this, world.history_) {
    ConnectLater();
  }

  SimAgent& agent() { return agent_; }
  cp::StreamId stream() const { return stream_; }

  // agent::RequestSink
  void Send(const common::DeltaRequest& request) override;
  void Close(const common::Status& why) override { BreakLater(why); }

  // From the hub.
  void Deliver(cp::Response response);
  void ReadNext();
  void BreakLater(const common::Status& why);

  // The stream is lost with all that is under way.
  void Break(const common::Status& why);
  void RestartAgent();

 private:
  void ConnectLater();
  void Connect();
  void PumpRequests();
  void Tick();
  std::chrono::microseconds Delay() {
    return std::chrono::microseconds(50 + world_.Random(20'000));
  }
  // Runs `event` later unless the stream has ended by then. Keeps the order of each direction.
  void Later(common::MonotonicTime& not_before, std::function<void()> event);

  SimWorld& world_;
  SimAgent agent_;
  cp::StreamId stream_ = 0;  // 0: not connected
  std::uint64_t life_ = 0;   // of the agent's process, for its ticks
  std::deque<std::string> requests_;
  bool hub_reads_ = false;
  common::MonotonicTime up_{};
  common::MonotonicTime down_{};
};

}  // namespace sim
