// SimAgent: the real cache and sync core of one agent, with a queue in place of gRPC, and a reader
// that checks after every step what a service could see.
//
// Thread: one.  Lifetime: queue and history outlive it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/xds/sync_core.h"
#include "common/log.h"
#include "tests/sim/history.h"

namespace sim {

class SimAgent final : public agent::ChangeListener {
 public:
  SimAgent(std::string dir, std::string service, const common::Clock& clock,
           agent::RequestSink& sink, const History& history);
  ~SimAgent() override;

  // Ends the process without a word and starts it again on the same directory.
  void Restart();

  agent::SyncCore& core() { return *core_; }
  const std::string& service() const { return service_; }

  // What the copies hold equals the model at their cursors, and no cursor has gone back, but into
  // the present epoch. Returns what is wrong; empty: nothing.
  std::string CheckReads();
  // Every collection in `wanted` is complete and equals the newest state; nothing else is there.
  std::string CheckSettled(const std::vector<common::Collection>& wanted,
                           const std::string& denied) const;
  std::string CheckFiles() const;
  // Of copies by digests, since the process began.
  std::uint64_t repairs() const { return board_.Get()->repairs; }

 private:
  bool Wants() const override { return true; }
  void OnChanged(std::vector<agent::ChangedKey>) override {}
  void OnReplaced(const std::string&) override {}
  void Start();
  bool WentBack(const common::Version& from, const common::Version& to) const;
  Content ReadCopy(const common::Collection& collection) const;

  const std::string dir_;
  const std::string service_;
  const common::Clock& clock_;
  agent::RequestSink& sink_;
  const History& history_;
  common::Log log_;
  agent::StatusBoard board_;
  std::unique_ptr<agent::Cache> cache_;
  std::unique_ptr<agent::Writer> writer_;
  std::unique_ptr<agent::Reader> reader_;
  std::unique_ptr<agent::SyncCore> core_;
  std::map<common::Collection, common::Version> seen_;
};

}  // namespace sim
