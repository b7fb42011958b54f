// Filling a reader's index ahead of its reads, in key order, a few entries at a time.
#include <algorithm>

#include "agent/cache/layout.h"
#include "agent/cache/reader_impl.h"

namespace agent {

// The next readable copy that is not in the index yet, with room made for all of them; null: none.
const Reader::Impl::Copy* Reader::Impl::NextToFill() {
  std::size_t entries = 0;
  std::vector<const Copy*> missing;
  std::vector<std::uint64_t> filled;
  for (const auto& [dataset, copies] : table) {
    for (const Copy& copy : copies) {
      if (CoverageOf(&copy) != Coverage::kReadable) continue;
      entries += txn->Count(copy.dbi).value_or(0);
      const bool is_filled = std::ranges::find(fill.filled, copy.serial) != fill.filled.end();
      is_filled ? filled.push_back(copy.serial) : missing.push_back(&copy);
    }
  }
  fill.filled = std::move(filled);  // without those that are gone
  if (missing.empty()) return nullptr;
  const auto going_on = std::ranges::find(missing, fill.serial, &Copy::serial);
  if (going_on != missing.end()) return *going_on;
  fill.serial = missing.front()->serial;
  fill.after.clear();
  if (index.Reserve(entries)) fill.filled.clear();
  return missing.front();
}

// Up to `entries_max` entries of `copy` behind fill.after; marks it filled at its end.
void Reader::Impl::FillFrom(const Copy& copy, std::size_t entries_max) {
  auto cursor = common::lmdb::Cursor::Open(*txn, copy.dbi);
  bool going_on = cursor.ok() && cursor->Seek(fill.after).ok();
  if (going_on && cursor->valid() && cursor->key() == fill.after) going_on = cursor->Next().ok();
  for (; going_on && cursor->valid() && entries_max > 0; --entries_max) {
    const std::string_view bytes = cursor->value();
    const std::uint64_t hash = PlaceHash(copy.serial, cursor->key());
    const auto record = ParseEntryRecord(bytes);
    if (record && !record->absent && !index.Find(hash)) {  // what is known to be there
      index.Put(hash, {.record = bytes.data(),
                       .size = static_cast<std::uint32_t>(bytes.size()),
                       .check = EntryRecordCheck(bytes)});
    }
    fill.after = cursor->key();
    going_on = cursor->Next().ok();
  }
  if (!going_on || !cursor->valid()) fill.filled.push_back(copy.serial);
}

bool Reader::WantsFill() const {
  const Impl& reader = *impl_;
  return reader.feed && !reader.index.full() &&
         (reader.fill.layout != reader.layout || reader.fill.table != reader.index.tables());
}

bool Reader::FillIndex(std::size_t entries_max) {
  Impl& reader = *impl_;
  if (!WantsFill() || reader.txn->id() < reader.announced.txn) return false;
  if (reader.fill.table != reader.index.tables()) reader.fill = {};  // what was filled is lost
  const Impl::Copy* copy = reader.NextToFill();
  reader.fill.table = reader.index.tables();
  reader.fill.layout = copy == nullptr ? reader.layout : Impl::kNoLayout;
  if (copy == nullptr) {
    reader.index.AskForLargePages();
    return false;
  }
  reader.FillFrom(*copy, entries_max);
  if (reader.index.full()) reader.index.AskForLargePages();
  reader.stats.bytes.Set(reader.index.bytes());
  return true;
}

}  // namespace agent
