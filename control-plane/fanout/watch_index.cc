#include "control-plane/fanout/watch_index.h"

#include <algorithm>

namespace cp {

void WatchIndex::Watch(std::string_view dataset, StreamId stream) {
  ++streams_[std::string(dataset)][stream];
}

void WatchIndex::Unwatch(std::string_view dataset, StreamId stream) {
  const auto it = streams_.find(dataset);
  CHECK(it != streams_.end());
  const auto count = it->second.find(stream);
  CHECK(count != it->second.end());
  if (--count->second == 0) it->second.erase(count);
  if (it->second.empty()) streams_.erase(it);
}

void WatchIndex::ForEach(std::string_view dataset,
                         const std::function<void(StreamId)>& visit) const {
  for (const std::string_view name : {dataset, kEvery}) {
    const auto it = streams_.find(name);
    if (it == streams_.end()) continue;
    for (const auto& [stream, count] : it->second) visit(stream);
  }
}

bool WatchIndex::WatchKey(std::string_view dataset, std::string_view key, StreamId stream,
                          Revision head) {
  const auto [it, fresh] = keys_.try_emplace(std::string(dataset));
  if (fresh) it->second.scanned = EndOf(head);
  std::vector<StreamId>& streams = it->second.streams[std::string(key)];
  if (std::ranges::find(streams, stream) != streams.end()) return false;
  streams.push_back(stream);
  return true;
}

bool WatchIndex::UnwatchKey(std::string_view dataset, std::string_view key, StreamId stream) {
  const auto it = keys_.find(dataset);
  if (it == keys_.end()) return false;
  const auto at = it->second.streams.find(key);
  if (at == it->second.streams.end() || std::erase(at->second, stream) == 0) return false;
  if (at->second.empty()) it->second.streams.erase(at);
  if (it->second.streams.empty()) keys_.erase(it);
  return true;
}

WatchIndex::Keys* WatchIndex::FindKeys(std::string_view dataset) {
  const auto it = keys_.find(dataset);
  return it == keys_.end() ? nullptr : &it->second;
}

}  // namespace cp
