#include "control-plane/fanout/bucket_table.h"

#include <algorithm>

#include "common/entry.h"

namespace cp {

common::Status BucketTable::Step(const CollectionView& source, std::size_t& scans_left) {
  if (complete_) return common::OkStatus();
  bool reached_end = true;
  RETURN_IF_ERROR(source.view.ScanEntries(
      source.state.id, source.collection.prefix, after_, [&](const Stored& stored) {
        reached_end = scans_left > 0;
        if (!reached_end) return false;
        --scans_left;
        digests_.Add(stored.key, stored.version, common::EntryOfResource(stored.resource).value);
        after_.assign(stored.key);
        return true;
      }));
  complete_ = reached_end;
  return common::OkStatus();
}

BucketTablePtr BucketTables::Get(const CollectionView& source) {
  const DatasetState& state = source.state;
  const auto found = std::ranges::find_if(slots_, [&](const Slot& slot) {
    return slot.dataset == state.id && slot.prefix == source.collection.prefix;
  });
  if (found != slots_.end()) {
    const Revision from = found->table->from();
    if (from >= state.floor && state.head - from <= kBehindMax) return found->table;
    slots_.erase(found);
  }
  slots_.push_front({.dataset = state.id,
                     .prefix = source.collection.prefix,
                     .table = std::make_shared<BucketTable>(state)});
  if (slots_.size() > kTablesMax) slots_.pop_back();
  return slots_.front().table;
}

}  // namespace cp
