// WatchAgent: one agent's cache and sessions, brought up to date by hand, so that it lags as long
// as a test likes.
//
// Thread: one.  Lifetime: store and clock outlive it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/server/loop_parts.h"
#include "agent/server/session.h"
#include "control-plane/store/store.h"

namespace sim {

class WatchAgent final : public agent::ChangeListener {
 public:
  // How it has the one dataset, "d". kReadThrough: not at all.
  WatchAgent(const std::string& dir, common::Mode mode, const common::Clock& clock,
             const cp::Store& store);

  struct Submitted {
    std::uint64_t session = 0;
    std::uint64_t ticket = 0;
    agent::WriteBatch batch;
    agent::WriteOutcome outcome = {};
  };
  struct Asked {
    std::uint64_t session = 0;
    std::uint64_t ticket = 0;
    agent::ReadQuestion question;
    agent::ReadAnswer answer = {};
  };
  std::deque<Submitted> submitted;  // not committed yet
  std::deque<Asked> asked;          // not answered yet

  agent::Session& AddSession(std::uint64_t id);
  // The bytes that the session has answered since.
  std::string Take(agent::Session& session);
  // The copy catches up with the store, in one cut; waits that are over end.
  void Sync();
  // What the control plane says now; told later.
  agent::ReadAnswer Read(const agent::ReadQuestion& question);
  void Tell(Asked asked);
  void Tell(Submitted submitted);

 private:
  bool Wants() const override { return false; }
  void OnChanged(std::vector<agent::ChangedKey>) override {}
  void OnReplaced(const std::string&) override {}
  void Load();
  void Apply(const cp::View& view, const cp::DatasetState& state);
  void EndWaits();
  agent::Change NameOf(const cp::View& view, const cp::DatasetState& state,
                       const std::string& key) const;

  const common::Mode mode_;
  const common::Clock& clock_;
  const cp::Store& store_;
  std::unique_ptr<agent::Cache> cache_;
  std::unique_ptr<agent::Writer> writer_;
  agent::StatusBoard board_;
  agent::SharedServices shared_{/*threads=*/1, common::kClientsMax};
  std::unique_ptr<agent::LoopParts> parts_;
  std::vector<std::unique_ptr<agent::Session>> sessions_;  // id − 1
  common::Version at_;
};

}  // namespace sim
