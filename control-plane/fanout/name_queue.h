// NameQueue: names of one stream and type that must be answered, without their values: the newest
// value of each is read when the stream can take it.
//
// Thread: hub.  Lifetime: one stream and type; pure. Memory: in proportion to distinct names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/subscription.h"

namespace cp {

class NameQueue {
 public:
  enum class Why {
    kAsked,    // answer in any case
    kChanged,  // answer if it differs from what the client has
  };
  // In order of arrival: who asks about any name knows by the answer that what had changed before
  // the question has been told.
  struct Place {
    std::uint64_t arrival = 0;
    Why why = Why::kChanged;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Item {
    std::string name;
    Place place;
  };

  // Names of a rejected response that are answered again in a response of their own.
  struct Group {
    std::vector<std::string> names;
    int halvings = 0;
  };

  // `seed`: streams that reject the same thing at once come back at different times.
  explicit NameQueue(std::uint64_t seed = 1)
      : random_(static_cast<std::minstd_rand::result_type>(seed)) {}

  void Add(const std::string& name, Why why) {
    const auto it = queued_.find(name);
    if (it == queued_.end()) {
      return Insert(Item{.name = name, .place = {.arrival = ++arrivals_, .why = why}});
    }
    if (why == Why::kChanged) return;
    // A question keeps its own place: what has changed before it comes before its answer.
    Erase(it);
    Insert(Item{.name = name, .place = {.arrival = ++arrivals_, .why = why}});
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

  // A response was rejected: each half of its names is answered again, later each time, so that
  // after at most log2(n) rejections only the culprit is left out. One name alone is the culprit.
  // False: too many rejected names wait; the stream must end.
  [[nodiscard]] bool Retry(Group rejected, common::MonotonicTime now) {
    std::vector<std::string>& names = rejected.names;
    if (names.size() < 2) return true;
    retry_names_ += names.size();
    if (retry_names_ > common::kRejectedNamesMax) return false;
    const common::MonotonicTime due = now + Delay(rejected.halvings);
    const auto middle = names.begin() + static_cast<std::ptrdiff_t>(names.size() / 2);
    const int halvings = rejected.halvings + 1;
    std::vector<std::string> half(std::make_move_iterator(middle),
                                  std::make_move_iterator(names.end()));
    names.erase(middle, names.end());
    groups_.emplace(due, Group{.names = std::move(names), .halvings = halvings});
    groups_.emplace(due, Group{.names = std::move(half), .halvings = halvings});
    return true;
  }
  // The next group to be answered again, alone in its response, if its time has come.
  std::optional<Group> TakeGroup(common::MonotonicTime now) {
    if (groups_.empty() || groups_.begin()->first > now) return std::nullopt;
    Group group = std::move(groups_.begin()->second);
    groups_.erase(groups_.begin());
    retry_names_ -= group.names.size();
    return group;
  }
  // When TakeGroup has the next one; absent: none waits.
  std::optional<common::MonotonicTime> NextGroup() const {
    if (groups_.empty()) return std::nullopt;
    return groups_.begin()->first;
  }

  bool empty() const { return order_.empty() && groups_.empty(); }
  std::size_t size() const { return order_.size(); }

 private:
  using Places = std::unordered_map<std::string, Place, TextHash, std::equal_to<>>;

  // Between half the ceiling and the ceiling, which doubles with each halving.
  common::Millis Delay(int halvings) {
    const std::int64_t ceiling =
        std::min<std::int64_t>(common::kRejectedBackoffMin.count() << std::min(halvings, 16),
                               common::kRejectedBackoffMax.count());
    return common::Millis(std::uniform_int_distribution(ceiling / 2, ceiling)(random_));
  }
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
  std::multimap<common::MonotonicTime, Group> groups_;  // by when they are due
  std::size_t retry_names_ = 0;                         // in groups_
  std::minstd_rand random_;
  std::uint64_t arrivals_ = 0;
};

}  // namespace cp
