// GenerationEdit: changes entries of one generation inside a write transaction and keeps its
// counts, bytes and digest in step.
//
// Thread: the writer's.  Lifetime: the transaction, the generation and `changed` outlive it; views
// read from the transaction are invalid after each call.
#pragma once

#include <string_view>
#include <vector>

#include "agent/cache/change_listener.h"
#include "agent/cache/layout.h"
#include "common/lmdb.h"

namespace agent {

class GenerationEdit {
 public:
  GenerationEdit(common::lmdb::WriteTxn& txn, common::lmdb::Dbi dbi, Generation& generation)
      : txn_(txn), dbi_(dbi), generation_(generation) {}

  // True: readers will see another version than before. DATA_LOSS: the record that is replaced is
  // malformed, so the totals cannot be kept.
  common::StatusOr<bool> Put(std::string_view key, std::string_view record);
  common::StatusOr<bool> Remove(std::string_view key);

 private:
  void Count(std::string_view key, const EntryRecord& record);
  common::StatusOr<std::optional<common::Version>> Uncount(std::string_view key);

  common::lmdb::WriteTxn& txn_;
  const common::lmdb::Dbi dbi_;
  Generation& generation_;
};

}  // namespace agent
