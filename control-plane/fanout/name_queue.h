// NameQueue: names of one stream and type that must be answered, without their values: the newest
// value of each is read when the stream can take it.
//
// Thread: hub.  Lifetime: one stream and type; pure. Memory: in proportion to distinct names.
#pragma once

#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control-plane/fanout/subscription.h"

namespace cp {

class NameQueue {
 public:
  enum class Why {
    kAsked,    // answer in any case, first
    kChanged,  // answer if it differs from what the client has
  };
  // Asked before changed, each in order of arrival.
  struct Place {
    Why why = Why::kChanged;
    std::uint64_t arrival = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Item {
    std::string name;
    Place place;
  };

  void Add(const std::string& name, Why why) {
    const auto it = queued_.find(name);
    if (it != queued_.end()) {
      if (it->second.why <= why) return;
      Erase(it);
    }
    Insert(Item{.name = name, .place = {.why = why, .arrival = ++arrivals_}});
  }

  // `name` need not be answered after all.
  void Drop(std::string_view name) {
    if (const auto it = queued_.find(name); it != queued_.end()) Erase(it);
  }

  std::optional<Item> Take() {
    if (order_.empty()) return std::nullopt;
    Item item{.name = order_.begin()->second, .place = order_.begin()->first};
    Erase(queued_.find(item.name));
    return item;
  }
  // Gives back what Take returned: it keeps its place.
  void Return(Item item) { Insert(std::move(item)); }

  // The names of a rejected response: each half is answered again in a response of its own, so
  // that after log2(n) rejections only the culprit is left out. One name alone is the culprit.
  void Retry(std::vector<std::string> names) {
    if (names.size() < 2) return;
    const auto middle = names.begin() + static_cast<std::ptrdiff_t>(names.size() / 2);
    groups_.emplace_back(std::make_move_iterator(middle), std::make_move_iterator(names.end()));
    names.erase(middle, names.end());
    groups_.push_back(std::move(names));
  }
  // The next group to be answered again, alone in its response.
  std::optional<std::vector<std::string>> TakeGroup() {
    if (groups_.empty()) return std::nullopt;
    std::vector<std::string> group = std::move(groups_.back());
    groups_.pop_back();
    return group;
  }

  bool empty() const { return order_.empty() && groups_.empty(); }
  std::size_t size() const { return order_.size(); }

 private:
  using Places = std::unordered_map<std::string, Place, TextHash, std::equal_to<>>;

  void Insert(Item item) {
    order_.emplace(item.place, item.name);
    queued_.emplace(std::move(item.name), item.place);
  }
  void Erase(Places::iterator it) {
    order_.erase(it->second);
    queued_.erase(it);
  }

  Places queued_;
  std::map<Place, std::string> order_;
  std::deque<std::vector<std::string>> groups_;
  std::uint64_t arrivals_ = 0;
};

}  // namespace cp
