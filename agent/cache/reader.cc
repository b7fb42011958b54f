// Reader: finds copies in a table that is made anew when the layout version of its snapshot says
// so.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/cache/environment.h"
#include "agent/cache/layout.h"
#include "agent/cache/reader_impl.h"
#include "common/limits.h"

namespace agent {

using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;
using common::lmdb::ReadTxn;

namespace {

void PrefetchRecord(const Place& place) {
  constexpr std::size_t kLineBytes = 64;
  for (std::size_t at = 0; at < place.size + kLineBytes; at += kLineBytes) {
    __builtin_prefetch(place.record + at);
  }
}

// A whole one: a broken record is for Verify to find.
bool IsAbsence(std::string_view bytes) {
  const std::optional<EntryRecord> record = ParseEntryRecord(bytes);
  return record && record->absent;
}

}  // namespace

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::~Reader() = default;

// --- the table ----------------------------------------------------------------------------------

Status Reader::Impl::Move() {
  const std::uint64_t now = current.turn();  // first: an older one is found out the next time
  std::shared_ptr<Environment> next = current.Get();
  ASSIGN_OR_RETURN(ReadTxn opened, next->env.BeginRead());
  opened.Reset();
  txn.reset();
  feed.reset();
  environment = std::move(next);
  txn.emplace(std::move(opened));
  turn = now;
  layout = UINT64_MAX;
  StartIndex();
  return OkStatus();
}

Status Reader::Impl::LoadTable() {
  ASSIGN_OR_RETURN(const std::uint64_t now, ReadLayout(*environment, *txn));
  if (layout == now) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<CopyRecord> records, ReadCopies(*environment, *txn));
  table.clear();
  last_dataset = nullptr;
  for (const CopyRecord& record : records) {
    Copy copy{.id = record.id, .collection = record.collection, .denial = record.denial};
    copy.by_name = record.by_name;
    if (record.ready) {
      copy.dbi = environment->slots.Dbi(record.ready->slot);
      copy.serial = record.ready->serial;
    }
    table[record.collection.dataset].push_back(std::move(copy));
  }
  layout = now;
  return OkStatus();
}

const std::vector<Reader::Impl::Copy>* Reader::Impl::CopiesOf(std::string_view dataset) const {
  CHECK(active);
  if (last_dataset != nullptr && last_dataset->first == dataset) return &last_dataset->second;
  const auto found = table.find(dataset);
  if (found == table.end()) return nullptr;
  last_dataset = &*found;
  return &found->second;
}

const Reader::Impl::Copy* Reader::Impl::Find(std::string_view dataset, std::string_view key) const {
  const std::vector<Copy>* copies = CopiesOf(dataset);
  if (copies == nullptr) return nullptr;
  // The most specific one: shorter prefixes of the key come first.
  const auto found = std::find_if(copies->rbegin(), copies->rend(),
                                  [&](const Copy& copy) { return copy.collection.Covers(key); });
  return found == copies->rend() ? nullptr : &*found;
}

Coverage Reader::Impl::CoverageOf(const Copy* copy) const {
  if (copy == nullptr) return Coverage::kNotSubscribed;
  if (copy->denial == Denial::kNoDataset) return Coverage::kNoDataset;
  if (copy->denial == Denial::kNoPermission) return Coverage::kNoPermission;
  if (copy->dbi == 0) return Coverage::kLoading;
  return environment->faults->Has(copy->serial) ? Coverage::kFaulted : Coverage::kReadable;
}

// --- the index --------------------------------------------------------------------------------

void Reader::Impl::StartIndex() {
  if (!index.enabled()) return;
  index.Clear();
  feed.emplace(environment->feeds);
  announced = {};
}

void Reader::Impl::CatchUp() {
  if (!feed || !feed->Take(announced)) return;
  if (announced.all) index.Clear();
  for (const std::uint64_t hash : announced.hashes) index.Erase(hash);
}

std::optional<Found> Reader::Impl::ReadAt(const Place& place, std::string_view key) {
  std::memcpy(copied.data(), place.record, place.size);
  const std::string_view bytes(copied.data(), place.size);
  if (EntryRecordCheck(bytes) != place.check) return std::nullopt;
  const auto record = VerifyEntryRecord(key, bytes);
  if (!record) return std::nullopt;
  stats.hits.Add();
  return Found{.entry = record->entry, .version = record->version};
}

std::optional<Found> Reader::Impl::FindByIndex(std::uint64_t hash, std::string_view key) {
  const std::optional<Place> place = index.Find(hash);
  if (!place) return std::nullopt;
  auto found = ReadAt(*place, key);
  if (found) return found;
  stats.moved.Add();
  index.Erase(hash);
  return std::nullopt;
}

StatusOr<LocalAnswer> Reader::Impl::FindInTree(const Copy& copy, std::uint64_t hash,
                                               std::string_view key) {
  const StatusOr<std::optional<std::string_view>> bytes = txn->Get(copy.dbi, key);
  if (!bytes.ok()) return Blame(copy, bytes.status());
  if (!bytes->has_value()) {
    return LocalAnswer{.coverage = copy.by_name ? Coverage::kNotHeld : Coverage::kReadable};
  }
  if (copy.by_name && IsAbsence(**bytes)) return LocalAnswer();
  ASSIGN_OR_RETURN(const Found found, Verify(copy, key, **bytes));
  if (feed && txn->id() >= announced.txn && (*bytes)->size() <= kPlacedRecordBytesMax) {
    stats.learned.Add();
    index.Put(hash, {.record = (*bytes)->data(),
                     .size = static_cast<std::uint32_t>((*bytes)->size()),
                     .check = EntryRecordCheck(**bytes)});
    stats.bytes.Set(index.bytes());
  }
  return LocalAnswer{.found = found};
}

StatusOr<LocalAnswer> Reader::Impl::FindIn(const Copy& copy, std::string_view key) {
  if (key.empty() || key.size() > common::kKeyBytesMax) return LocalAnswer();
  if (!feed) return FindInTree(copy, 0, key);
  const std::uint64_t hash = PlaceHash(copy.serial, key);
  if (const auto found = FindByIndex(hash, key)) return LocalAnswer{.found = found};
  return FindInTree(copy, hash, key);
}

// --- reading ------------------------------------------------------------------------------------

Status Reader::Impl::Fault(const Copy& copy, std::string_view what) const {
  environment->faults->Report(copy.collection, copy.serial);
  return Error(StatusCode::kDataLoss, "{} in the copy of {}", what,
               CollectionName(copy.collection));
}

StatusOr<Found> Reader::Impl::Verify(const Copy& copy, std::string_view key,
                                     std::string_view bytes) const {
  const std::optional<EntryRecord> record = VerifyEntryRecord(key, bytes);
  if (!record) return Fault(copy, "an entry does not match its checksum");
  return Found{.entry = record->entry, .version = record->version};
}

// What LMDB itself finds broken counts as a broken entry.
Status Reader::Impl::Blame(const Copy& copy, Status status) const {
  if (status.code() != StatusCode::kDataLoss) return status;
  return Fault(copy, common::Message(status));
}

Status Reader::Impl::ScanCopy(const Copy& copy, std::string_view prefix, std::string_view after,
                              const Visit& visit, bool& stopped) const {
  const std::string_view start = std::max(prefix, after).substr(0, common::kKeyBytesMax + 1);
  ASSIGN_OR_RETURN(common::lmdb::Cursor cursor, common::lmdb::Cursor::Open(*txn, copy.dbi));
  RETURN_IF_ERROR(Blame(copy, cursor.Seek(start)));
  if (cursor.valid() && cursor.key() == after) RETURN_IF_ERROR(Blame(copy, cursor.Next()));
  while (cursor.valid() && cursor.key().starts_with(prefix)) {
    if (copy.by_name && IsAbsence(cursor.value())) {
      RETURN_IF_ERROR(Blame(copy, cursor.Next()));
      continue;
    }
    ASSIGN_OR_RETURN(const Found found, Verify(copy, cursor.key(), cursor.value()));
    stopped = !visit(cursor.key(), found);
    if (stopped) return OkStatus();
    RETURN_IF_ERROR(Blame(copy, cursor.Next()));
  }
  return OkStatus();
}

// --- the calls --------------------------------------------------------------------------------

Status Reader::Refresh() {
  Release();
  if (impl_->turn != impl_->current.turn()) RETURN_IF_ERROR(impl_->Move());
  RETURN_IF_ERROR(impl_->txn->Renew());
  impl_->active = true;
  impl_->CatchUp();
  // Not to be spared by comparing ids of snapshots: a renewed transaction may carry the id of one
  // commit and see a later one, if two commits fall into LMDB's renewal.
  if (Status status = impl_->LoadTable(); !status.ok()) {
    Release();
    return status;
  }
  return OkStatus();
}

void Reader::Release() {
  if (std::exchange(impl_->active, false)) impl_->txn->Reset();
}

bool Reader::IsNewest() const {
  CHECK(impl_->active);
  return impl_->turn == impl_->current.turn() &&
         impl_->txn->id() == impl_->environment->env.last_commit();
}

Coverage Reader::CoverageOf(std::string_view dataset, std::string_view key) const {
  const Impl::Copy* copy = impl_->Find(dataset, key);
  const Coverage coverage = impl_->CoverageOf(copy);
  if (coverage != Coverage::kReadable || !copy->by_name || key.empty()) return coverage;
  const auto bytes = impl_->txn->Get(copy->dbi, key);
  return bytes.ok() && !bytes->has_value() ? Coverage::kNotHeld : coverage;
}

StatusOr<LocalAnswer> Reader::LookUp(const KeyRef& ref) const {
  const Impl::Copy* copy = impl_->Find(ref.dataset, ref.key);
  const Coverage coverage = impl_->CoverageOf(copy);
  if (coverage != Coverage::kReadable) return LocalAnswer{.coverage = coverage};
  if (copy->by_name) {
    impl_->environment->sketch->Touch(AccessSketch::Hash(copy->collection.dataset, ref.key));
  }
  return impl_->FindIn(*copy, ref.key);
}

StatusOr<std::optional<Found>> Reader::Get(std::string_view dataset, std::string_view key) const {
  const Impl::Copy* copy = impl_->Find(dataset, key);
  if (copy == nullptr || copy->dbi == 0) {
    return Error(StatusCode::kFailedPrecondition, "no readable copy covers '{}/{}'", dataset, key);
  }
  ASSIGN_OR_RETURN(LocalAnswer answer, impl_->FindIn(*copy, key));
  return answer.found;
}

void Reader::Prefetch(std::span<const KeyRef> keys, std::span<PrefetchedKey> out) const {
  CHECK(keys.size() <= kPrefetchedKeysMax && keys.size() == out.size());
  AccessSketch& sketch = *impl_->environment->sketch;
  std::array<std::uint64_t, kPrefetchedKeysMax> hashes;  // of PlaceIndex; 0: not to be looked for
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out[i] = {.ref = keys[i]};
    hashes[i] = 0;
    const Impl::Copy* copy = impl_->feed ? impl_->Find(keys[i].dataset, keys[i].key) : nullptr;
    if (impl_->CoverageOf(copy) != Coverage::kReadable) continue;
    if (copy->by_name) {
      out[i].use = AccessSketch::Hash(keys[i].dataset, keys[i].key);
      sketch.Prefetch(out[i].use);
    }
    hashes[i] = PlaceHash(copy->serial, keys[i].key);
    impl_->index.Prefetch(hashes[i]);
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (hashes[i] == 0) continue;
    out[i].place = impl_->index.Find(hashes[i]).value_or(Place());
    PrefetchRecord(out[i].place);
  }
}

std::optional<Found> Reader::LookUpPrefetched(const PrefetchedKey& key) const {
  if (key.place.record == nullptr) return std::nullopt;
  auto found = impl_->ReadAt(key.place, key.ref.key);
  if (found && key.use != 0) impl_->environment->sketch->Touch(key.use);
  return found;
}

const IndexStats& Reader::index_stats() const { return impl_->stats; }

std::optional<common::Version> Reader::ReachOf(std::string_view dataset,
                                               std::string_view key) const {
  const Impl::Copy* copy = impl_->Find(dataset, key);
  if (impl_->CoverageOf(copy) != Coverage::kReadable) return std::nullopt;
  const std::string record_key = CopyKey(copy->id);
  const auto bytes = impl_->txn->Get(impl_->environment->copies, record_key);
  if (!bytes.ok() || !bytes->has_value()) return std::nullopt;
  const std::optional<CopyRecord> record = ParseCopyRecord(record_key, **bytes);
  if (!record || !record->ready) return std::nullopt;
  if (!copy->by_name) return record->ready->at;
  const auto held = impl_->txn->Get(copy->dbi, key);
  if (!held.ok() || !held->has_value()) return std::nullopt;
  const std::optional<EntryRecord> entry = ParseEntryRecord(**held);
  if (!entry) return std::nullopt;
  const common::Version& at = record->ready->at;
  const bool ahead = entry->version.epoch == at.epoch && entry->version.revision > at.revision;
  return ahead || at.epoch == 0 ? entry->version : at;
}

Status Reader::Scan(std::string_view dataset, std::string_view prefix, std::string_view after,
                    const Visit& visit) const {
  const std::vector<Impl::Copy>* copies = impl_->CopiesOf(dataset);
  if (copies == nullptr) return OkStatus();
  bool stopped = false;
  for (const Impl::Copy& copy : *copies) {  // ordered by prefix, so by key
    const std::string_view own = copy.collection.prefix;
    const std::string_view longer = own.size() > prefix.size() ? own : prefix;
    if (!longer.starts_with(own) || !longer.starts_with(prefix)) continue;
    if (impl_->CoverageOf(&copy) != Coverage::kReadable) continue;
    RETURN_IF_ERROR(impl_->ScanCopy(copy, longer, after, visit, stopped));
    if (stopped) break;
  }
  return OkStatus();
}

std::vector<std::string> Reader::Datasets() const {
  CHECK(impl_->active);
  std::vector<std::string> names;
  names.reserve(impl_->table.size());
  for (const auto& [name, copies] : impl_->table) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

std::vector<CopyState> Reader::Copies() const {
  CHECK(impl_->active);
  const StatusOr<std::vector<CopyRecord>> records = ReadCopies(*impl_->environment, *impl_->txn);
  std::vector<CopyState> states;
  if (!records.ok()) return states;
  for (const CopyRecord& record : *records) states.push_back(StateOf(record));
  return states;
}

}  // namespace agent
