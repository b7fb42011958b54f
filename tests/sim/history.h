// History: the model. What every dataset held at every revision, kept in plain maps.
//
// Thread: one.  Lifetime: value.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/names.h"
#include "common/version.h"

namespace sim {

using Content = std::map<std::string, std::string>;  // key → value

class History {
 public:
  // `content` is what `dataset` holds from `revision` on.
  void Record(const std::string& dataset, common::Revision revision, Content content) {
    datasets_[dataset][revision] = std::move(content);
  }
  // The part of the dataset that `collection` covers, as of `revision`.
  Content At(const common::Collection& collection, common::Revision revision) const {
    Content part;
    const auto found = datasets_.find(collection.dataset);
    if (found == datasets_.end()) return part;
    auto it = found->second.upper_bound(revision);
    if (it == found->second.begin()) return part;
    for (const auto& [key, value] : std::prev(it)->second) {
      if (collection.Covers(key)) part.emplace(key, value);
    }
    return part;
  }
  Content Now(const std::string& dataset) const {
    const auto found = datasets_.find(dataset);
    if (found == datasets_.end() || found->second.empty()) return {};
    return found->second.rbegin()->second;
  }

 private:
  std::map<std::string, std::map<common::Revision, Content>> datasets_;
};

}  // namespace sim
