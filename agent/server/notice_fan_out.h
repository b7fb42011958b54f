// NoticeFanOut: tells the notices of every loop what a commit has changed.
//
// Thread: the sync thread.  Lifetime: outlives the cache's writer, and the notices outlive it.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/change_listener.h"
#include "agent/server/keyspace_notices.h"

namespace agent {

class NoticeFanOut final : public ChangeListener {
 public:
  void Add(KeyspaceNotices& notices) { loops_.push_back(&notices); }  // before the first commit

  bool Wants() const override {
    return std::any_of(loops_.begin(), loops_.end(),
                       [](const auto* loop) { return loop->Wants(); });
  }
  void OnChanged(std::vector<ChangedKey> keys) override {
    const auto shared = std::make_shared<const std::vector<ChangedKey>>(std::move(keys));
    for (KeyspaceNotices* loop : loops_) loop->OnChangedShared(shared);
  }
  void OnReplaced(const std::string& dataset) override {
    for (KeyspaceNotices* loop : loops_) loop->OnReplaced(dataset);
  }
  void OnApplied() override {
    for (KeyspaceNotices* loop : loops_) loop->OnApplied();
  }

 private:
  std::vector<KeyspaceNotices*> loops_;
};

}  // namespace agent
