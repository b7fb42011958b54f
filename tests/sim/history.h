// History: the model. What every dataset held at every revision of every epoch, kept in plain maps.
//
// Thread: one.  Lifetime: value.
#pragma once

#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "common/names.h"
#include "common/version.h"

namespace sim {

using Content = std::map<std::string, std::string>;  // key → value

class History {
 public:
  explicit History(common::Epoch epoch = 0) : epoch_(epoch) {}

  // `content` is what `dataset` holds from `revision` of the present epoch on.
  void Record(const std::string& dataset, common::Revision revision, Content content) {
    epochs_[epoch_][dataset][revision] = std::move(content);
  }
  // From here on `to` is the present epoch: it has all of `from` up to `head`, and revisions after
  // that are given out anew.
  void Fork(common::Epoch from, common::Revision head, common::Epoch to) {
    Datasets& forked = epochs_[to];
    for (const auto& [dataset, states] : epochs_[from]) {
      forked[dataset] = {states.begin(), states.upper_bound(head)};
    }
    epoch_ = to;
  }
  common::Epoch epoch() const { return epoch_; }

  // The part of the dataset that `collection` covers, as of `at`.
  Content At(const common::Collection& collection, const common::Version& at) const {
    Content part;
    const auto epoch = epochs_.find(at.epoch);
    if (epoch == epochs_.end()) return part;
    const auto found = epoch->second.find(collection.dataset);
    if (found == epoch->second.end()) return part;
    auto it = found->second.upper_bound(at.revision);
    if (it == found->second.begin()) return part;
    for (const auto& [key, value] : std::prev(it)->second) {
      if (collection.Covers(key)) part.emplace(key, value);
    }
    return part;
  }
  Content Now(const common::Collection& collection) const {
    return At(collection, {.epoch = epoch_, .revision = UINT64_MAX});
  }
  Content Now(const std::string& dataset) const {
    return Now(common::Collection{.dataset = dataset, .prefix = {}});
  }

 private:
  using Datasets = std::map<std::string, std::map<common::Revision, Content>>;

  common::Epoch epoch_;
  std::map<common::Epoch, Datasets> epochs_;
};

}  // namespace sim
