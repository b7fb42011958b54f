// SimWorld: one control plane, several agents and a network that delays and drops, all on one
// thread and one seed.
//
// Thread: one.  Lifetime: owns everything, and a scratch directory that it removes.
// After every step each agent's readers are checked against the model (sim_agent.h). After quiet
// time every copy equals its subscription.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/sim/event_queue.h"
#include "tests/sim/history.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_control_plane.h"

namespace sim {

struct SimOptions {
  std::uint64_t seed = 1;
  int steps = 300;
  std::string dir;                   // scratch, made and removed
  std::size_t value_bytes_max = 64;  // large ones make loads of many responses
  bool restores = false;             // now and then the control plane is replaced by a backup
};

class SimWorld final : public cp::ResponseSink {
 public:
  explicit SimWorld(SimOptions options);
  ~SimWorld() override;

  // Runs the whole thing; what is wrong first, or empty.
  std::string Run();

  // Totals over the run, so that a test can tell that it did something.
  std::uint64_t commits = 0, restarts = 0, drops = 0, responses = 0, restores = 0, repairs = 0;

 private:
  class Link;  // one agent's side of the network

  // cp::ResponseSink
  void Send(cp::StreamId stream, cp::Response response) override;
  void ReadNext(cp::StreamId stream) override;
  void Close(cp::StreamId stream, common::Status status) override;
  void OnNack(cp::StreamId, const cp::Nack&) override {}

  void Step();
  void PublishSome();
  void Regrant();
  void Resubscribe();
  void RestartControlPlane();
  void SaveBackup();
  void RestoreBackup();
  void BreakAll();
  std::string CheckAll();
  std::string Settle();
  std::uint64_t Random(std::uint64_t below);
  std::string RandomKey();
  Link* FindLink(cp::StreamId stream);

  const SimOptions options_;
  std::mt19937_64 random_;
  EventQueue queue_;
  History history_;
  std::unique_ptr<SimControlPlane> control_plane_;
  std::vector<std::unique_ptr<Link>> links_;
  cp::StreamId last_stream_ = 0;
  std::string denied_to_b_;  // a dataset that agent b is not granted just now
  bool c_wants_all_ = false;
  // A backup, and what was so when it was taken.
  struct Saved {
    std::string file;
    common::Version at;
    std::string denied_to_b;
    bool c_wants_all = false;
  };
  std::optional<Saved> saved_;
};

}  // namespace sim
