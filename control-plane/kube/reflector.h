// Reflector: what one list-and-watch of an API server has told, and what to ask next.
//
// Thread: one owner.  Lifetime: value; no I/O, no clock.
// A list comes in pages; watches go on from the resource version of the list or of the last event
// or bookmark. "410 Gone" – from any of them – starts over with a list.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cp {

// What a mirror of one kind of objects hears.
struct KubeEvent {
  enum class Type {
    kReplaced,  // these and no others
    kChanged,   // each is new or changed
    kDeleted,
  };
  Type type = Type::kChanged;
  std::string kind = {};  // of the reflector
  std::vector<nlohmann::json> objects = {};
};

class Reflector {
 public:
  // `path`: "/apis/tributary.dev/v1alpha1/datasets"; `selector` of labels may be empty.
  Reflector(std::string kind, std::string path, std::string selector = {});

  bool needs_list() const { return needs_list_; }
  std::string NextPath(std::uint64_t watch_seconds) const;

  // A page; absent: more to come. INVALID_ARGUMENT: no list; ask again.
  common::StatusOr<std::vector<KubeEvent>> OnList(std::string_view body);
  // One line of a watch. OUT_OF_RANGE: gone, list afresh. INVALID_ARGUMENT: not understood.
  common::StatusOr<std::vector<KubeEvent>> OnLine(std::string_view line);
  void OnGone();

 private:
  const std::string kind_;
  const std::string path_;
  const std::string selector_;
  bool needs_list_ = true;
  std::string continue_;
  std::string version_;
  std::vector<nlohmann::json> pages_;
};

}  // namespace cp
