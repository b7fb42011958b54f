// LmdbView: a snapshot of the store.
//
// Thread: the one that opened it.  Lifetime: the store outlives it.
#pragma once

#include "common/lmdb.h"
#include "control-plane/store/store.h"
#include "control-plane/store/tables.h"

namespace cp {

class LmdbView final : public View {
 public:
  static common::StatusOr<std::unique_ptr<View>> Open(const common::lmdb::Env& env,
                                                      const Tables& tables);

  Revision head() const override { return head_; }
  common::StatusOr<std::optional<DatasetState>> Dataset(std::string_view name) const override;
  common::StatusOr<std::optional<Stored>> Get(std::uint32_t dataset,
                                              std::string_view key) const override;
  common::Status ScanEntries(std::uint32_t dataset, std::string_view prefix,
                             std::string_view after, const Visit& visit) const override;
  common::Status ScanChanges(std::uint32_t dataset, std::string_view prefix, Position after,
                             const Visit& visit) const override;

 private:
  LmdbView(common::lmdb::ReadTxn txn, const Tables& tables, Revision head)
      : txn_(std::move(txn)), tables_(tables), head_(head) {}

  const common::lmdb::ReadTxn txn_;
  const Tables& tables_;
  const Revision head_;
};

}  // namespace cp
