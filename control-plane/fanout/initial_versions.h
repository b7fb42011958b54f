// InitialVersions: what a client says it holds, as its first request of a type brought it; and
// KnownVersions, the part of it that concerns one dataset.
//
// Thread: built where the request arrives, then the hub's.  Lifetime: the text of the names and
// versions is kept while any part refers to it.
// A client without cursors may hold a million names: beside the text itself a name costs 8 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cp {

// Names with their versions, one behind another.
class VersionText {
 public:
  struct Pair {
    std::string_view name;
    std::string_view version;
  };
  // `charge` is released with the text: what the request was counted for.
  explicit VersionText(std::shared_ptr<void> charge = {}) : charge_(std::move(charge)) {}

  // Where the pair stands. REQUIRES: both at most kResourceNameBytesMax.
  std::uint32_t Add(std::string_view name, std::string_view version);
  Pair At(std::uint32_t offset) const;

 private:
  const std::shared_ptr<void> charge_;
  std::string bytes_;
};

// A set of pairs of one text, found by name.
class KnownVersions {
 public:
  KnownVersions() = default;
  explicit KnownVersions(std::shared_ptr<const VersionText> text) : text_(std::move(text)) {}

  // Replaces a pair of the same name.
  void Add(std::uint32_t offset);
  std::optional<std::string_view> Find(std::string_view name) const;
  bool Erase(std::string_view name);
  // Any pair that is left; absent: none. Pop takes the one that Peek shows.
  std::optional<std::uint32_t> Peek() const;
  void Pop();

  VersionText::Pair At(std::uint32_t offset) const { return text_->At(offset); }
  const std::shared_ptr<const VersionText>& text() const { return text_; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;
  static constexpr std::uint32_t kErased = UINT32_MAX - 1;

  std::size_t FindSlot(std::string_view name) const;  // of the name, or a free one
  void Grow();

  std::shared_ptr<const VersionText> text_;
  std::vector<std::uint32_t> slots_;  // offsets; open addressing, at most 3/4 used
  std::size_t size_ = 0;
  std::size_t used_ = 0;  // with erased ones
  mutable std::size_t peek_ = 0;
};

// All of one request.
class InitialVersions {
 public:
  InitialVersions() = default;
  // `entries`: sort names of entries by their dataset.
  InitialVersions(const std::shared_ptr<const VersionText>& text,
                  const std::vector<std::uint32_t>& offsets, bool entries);

  std::optional<std::string_view> Find(std::string_view name) const;
  bool empty() const { return others_.empty() && entries_.empty(); }

  // To be taken: names of single entries by dataset, in their canonical spelling …
  using ByDataset = std::map<std::string, KnownVersions, std::less<>>;
  ByDataset& entries() { return entries_; }
  // … and all other names.
  KnownVersions& others() { return others_; }

 private:
  KnownVersions* DatasetOf(std::string_view name, const std::shared_ptr<const VersionText>& text);

  ByDataset entries_;
  KnownVersions others_;
};

}  // namespace cp
