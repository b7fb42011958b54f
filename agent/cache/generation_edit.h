// GenerationEdit: changes entries of one generation inside a write transaction and keeps its
// counts, bytes and digest in step.
//
// Thread: the writer's.  Lifetime: ends before the transaction does; all that it is given outlives
// it; views read from the transaction are invalid after each call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/cache/commit_feed.h"
#include "agent/cache/layout.h"
#include "common/lmdb.h"

namespace agent {

class GenerationEdit {
 public:
  // `changed`: where the keys that it touches are noted; null while nobody reads the generation.
  GenerationEdit(common::lmdb::WriteTxn& txn, common::lmdb::Dbi dbi, Generation& generation,
                 ChangedPlaces* changed)
      : txn_(txn), dbi_(dbi), generation_(generation), changed_(changed) {}

  // Stores `bytes`, which is `record`. True: readers will see another version than before; an
  // absence has none. DATA_LOSS: the record that is replaced is malformed, so the totals cannot be
  // kept.
  common::StatusOr<bool> Put(std::string_view key, std::string_view bytes,
                             const EntryRecord& record);
  // The same of a record as it is stored elsewhere. DATA_LOSS also: it is malformed.
  common::StatusOr<bool> PutStored(std::string_view key, std::string_view bytes);
  common::StatusOr<bool> Remove(std::string_view key);
  // Gives what is stored another expiry, if it has this version.
  common::Status Renew(std::string_view key, const common::Version& version,
                       std::int64_t expires_at_ms);
  bool Has(std::string_view key) const;

 private:
  void Note(std::string_view key);
  common::Status Append(std::string_view key, std::string_view record);
  void Count(std::string_view key, const EntryRecord& record);
  // What was stored, without its value.
  struct Before {
    common::Version version;
    bool absent = false;
  };
  common::StatusOr<std::optional<Before>> Uncount(std::string_view key);

  common::lmdb::WriteTxn& txn_;
  const common::lmdb::Dbi dbi_;
  Generation& generation_;
  ChangedPlaces* const changed_;
  std::optional<common::lmdb::Cursor> end_ = {};  // once something was appended
};

}  // namespace agent
