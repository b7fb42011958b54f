// WatchIndex: which streams a commit concerns, so that a commit costs in proportion to what it
// changed and to who wants it, not to how many streams there are.
//
// Thread: hub.  Lifetime: of the hub; pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control-plane/fanout/response_sink.h"
#include "control-plane/fanout/subscription.h"
#include "control-plane/store/store.h"

namespace cp {

class WatchIndex {
 public:
  // The dataset name that stands for all of them.
  static constexpr std::string_view kEvery = "";

  // Watches are counted: as many Unwatch as Watch.
  void Watch(std::string_view dataset, StreamId stream);
  void Unwatch(std::string_view dataset, StreamId stream);
  // Calls `visit` once or twice for each stream that watches `dataset`.
  void ForEach(std::string_view dataset, const std::function<void(StreamId)>& visit) const;

  // One key, not counted; false: no change. `head`: where the dataset stands in the snapshot from
  // which the stream is first told.
  bool WatchKey(std::string_view dataset, std::string_view key, StreamId stream, Revision head);
  bool UnwatchKey(std::string_view dataset, std::string_view key, StreamId stream);

  // Keys of one dataset.
  struct Keys {
    Position scanned;  // changes up to here have been matched
    std::unordered_map<std::string, std::vector<StreamId>, TextHash, std::equal_to<>> streams;
  };
  // Null: nobody watches keys of `dataset`.
  Keys* FindKeys(std::string_view dataset);

  bool empty() const { return streams_.empty() && keys_.empty(); }

 private:
  std::unordered_map<std::string, std::map<StreamId, std::size_t>, TextHash, std::equal_to<>>
      streams_;
  std::unordered_map<std::string, Keys, TextHash, std::equal_to<>> keys_;
};

}  // namespace cp
