// ChangeListener: told which keys a commit has changed.
//
// Thread: called on the sync thread, after the commit is visible to readers; must not block.
// Lifetime: outlives the cache's writer.
#pragma once

#include <string>
#include <vector>

#include "common/version.h"

namespace agent {

struct ChangedKey {
  std::string key;  // as clients name it: "<dataset>/<key>"
  bool deleted = false;
  common::Version version = {};  // of the change; revision 0: not known
};

class ChangeListener {
 public:
  ChangeListener() = default;
  ChangeListener(const ChangeListener&) = delete;
  ChangeListener& operator=(const ChangeListener&) = delete;
  virtual ~ChangeListener() = default;
  virtual bool Wants() const = 0;  // false: nobody listens, do not collect keys
  virtual void OnChanged(std::vector<ChangedKey> keys) = 0;
  // A copy has moved on to another cursor; after OnChanged.
  virtual void OnApplied() {}
  // A whole copy was replaced or erased: any key of `dataset` may have changed.
  virtual void OnReplaced(const std::string& dataset) = 0;
};

}  // namespace agent
