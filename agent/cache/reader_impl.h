// Reader's inside: a read transaction and the table of copies that belongs to its snapshot.
//
// Thread: the reader's.  Lifetime: the environment outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/cache/environment.h"

namespace agent {

struct Reader::Impl {
  struct Copy {
    common::Collection collection;
    Denial denial = Denial::kNone;
    common::lmdb::Dbi dbi = 0;  // 0: nothing to read
    std::uint64_t serial = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  Environment& environment;
  common::lmdb::ReadTxn txn;
  bool active = false;                // between Refresh and Release
  std::size_t snapshot = SIZE_MAX;    // transaction id that `table` was last checked against
  std::uint64_t layout = UINT64_MAX;  // that `table` was made from
  // Copies of a dataset, ordered by prefix.
  std::unordered_map<std::string, std::vector<Copy>, Hash, std::equal_to<>> table = {};

  common::Status LoadTable();
  const std::vector<Copy>* CopiesOf(std::string_view dataset) const;
  const Copy* Find(std::string_view dataset, std::string_view key) const;
  Coverage CoverageOf(const Copy* copy) const;
  common::Status Fault(const Copy& copy, std::string_view what) const;
  common::Status Blame(const Copy& copy, common::Status status) const;
  common::StatusOr<Found> Verify(const Copy& copy, std::string_view key,
                                 std::string_view bytes) const;
  common::Status ScanCopy(const Copy& copy, std::string_view prefix, std::string_view after,
                          const Visit& visit, bool& stopped) const;
};

}  // namespace agent
