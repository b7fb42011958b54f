// SimControlPlane: the real store and hub, with a queue in place of gRPC.
//
// Thread: one.  Lifetime: the network outlives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "control-plane/fanout/hub.h"
#include "control-plane/store/committer.h"
#include "control-plane/store/lmdb_store.h"

namespace sim {

class SimControlPlane final : public cp::CommitListener {
 public:
  SimControlPlane(std::string dir, const common::Clock& clock, cp::ResponseSink& sink);

  // Ends the process without a word and starts it again on the same directory.
  void Restart();

  cp::Hub& hub() { return *hub_; }
  cp::Store& store() { return *store_; }

  cp::Outcome Publish(const std::string& service, std::vector<cp::Write> writes);
  void Declare(const common::Declaration& object);
  void Withdraw(const std::string& kind, const std::string& name);
  // All that the store holds, as the bytes of a backup file.
  std::string Backup() const;
  // Another host takes over with what a backup holds, in an empty directory.
  void Restore(const std::string& file, std::string dir);
  // Drops all tombstones, so that every dataset's floor is its head.
  void DropTombstones();

 private:
  void OnCommitted(const std::vector<std::string>& datasets, cp::CatalogPtr catalog) override;
  void Start();

  std::string dir_;
  const common::Clock& clock_;
  cp::ResponseSink& sink_;
  std::unique_ptr<cp::LmdbStore> store_;
  std::unique_ptr<cp::Hub> hub_;
  std::uint64_t sequence_ = 0;
};

}  // namespace sim
