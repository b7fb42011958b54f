// Writer: repair by digests – what a copy holds, told by buckets, and a new generation made of the
// buckets that are right.
#include <string>
#include <utility>

#include "agent/cache/cache.h"
#include "agent/cache/environment.h"
#include "agent/cache/layout.h"
#include "agent/cache/writer_impl.h"
#include "common/buckets.h"
#include "common/limits.h"

namespace agent {

using common::Collection;
using common::Error;
using common::OkStatus;
using common::Status;
using common::StatusCode;
using common::StatusOr;
using common::lmdb::Cursor;
using common::lmdb::ReadTxn;
using common::lmdb::WriteTxn;

// What is malformed counts as missing, so its bucket differs and is sent anew.
StatusOr<common::BucketDigests> Writer::Buckets(const Collection& collection,
                                                std::size_t count) const {
  const auto found = impl_->copies.find(collection);
  if (found == impl_->copies.end() || !found->second.ready) {
    return Error(StatusCode::kFailedPrecondition, "no complete copy of {}",
                 CollectionName(collection));
  }
  const Environment& environment = *impl_->environment;
  common::BucketDigests digests(count);
  ASSIGN_OR_RETURN(const ReadTxn txn, environment.env.BeginRead());
  ASSIGN_OR_RETURN(Cursor cursor,
                   Cursor::Open(txn, environment.slots.Dbi(found->second.ready->slot)));
  RETURN_IF_ERROR(cursor.First());
  while (cursor.valid()) {
    if (const auto record = ParseEntryRecord(cursor.value())) {
      digests.Add(cursor.key(), record->version, record->entry.value);
    }
    RETURN_IF_ERROR(cursor.Next());
  }
  return digests;
}

// In transactions of bounded size. What is there already stays in key order, so all is appended.
Status Writer::BeginRepair(const Collection& collection, const common::Version& at,
                           const common::BucketSet& resent) {
  RETURN_IF_ERROR(impl_->NewLoad(collection, at, true));
  const CopyRecord& record = impl_->copies.at(collection);
  if (!record.ready) return OkStatus();
  const Environment& environment = *impl_->environment;
  ASSIGN_OR_RETURN(const ReadTxn read, environment.env.BeginRead());
  ASSIGN_OR_RETURN(Cursor cursor, Cursor::Open(read, environment.slots.Dbi(record.ready->slot)));
  RETURN_IF_ERROR(cursor.First());
  const auto keep_some = [&](WriteTxn& txn, CopyRecord& next) -> Status {
    GenerationEdit edit(txn, environment.slots.Dbi(next.loading->slot), *next.loading, nullptr);
    for (std::size_t bytes = 0; cursor.valid() && bytes < common::kApplyBytesMax;) {
      if (!resent.Covers(cursor.key())) {
        bytes += cursor.key().size() + cursor.value().size();
        RETURN_IF_ERROR(edit.PutStored(cursor.key(), cursor.value()).status());
      }
      RETURN_IF_ERROR(cursor.Next());
    }
    return OkStatus();
  };
  while (cursor.valid()) {
    RETURN_IF_ERROR(impl_->Transact(collection, Impl::Kind::kEntries, keep_some));
  }
  return OkStatus();
}

Status Writer::DropLoad(const Collection& collection) {
  const auto found = impl_->copies.find(collection);
  if (found == impl_->copies.end() || !found->second.loading) return OkStatus();
  return impl_->Transact(collection, Impl::Kind::kLayout,
                         [&](WriteTxn& txn, CopyRecord& record) -> Status {
                           record.repairs = false;
                           RETURN_IF_ERROR(impl_->DropStaged(txn, record));
                           return impl_->Drop(txn, record.loading);
                         });
}

}  // namespace agent
