// LineBuffer: bytes fed in pieces, taken off the front, with a count of lines.
//
// Thread: one owner.  Lifetime: a view from rest() is valid until the next Feed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ctl {

class LineBuffer {
 public:
  void Feed(std::string_view bytes) {
    bytes_.erase(0, taken_);
    taken_ = 0;
    bytes_ += bytes;
    if (!begun_ && bytes_.size() >= kMark.size()) {
      begun_ = true;
      if (bytes_.starts_with(kMark)) taken_ = kMark.size();
    }
  }
  void End() { ended_ = true; }

  std::string_view rest() const { return std::string_view(bytes_).substr(taken_); }
  bool ended() const { return ended_; }
  std::uint64_t line() const { return line_; }  // in which rest() begins; from 1

  // REQUIRES: count ≤ rest().size()
  void Take(std::size_t count) {
    line_ += static_cast<std::uint64_t>(std::ranges::count(rest().substr(0, count), '\n'));
    taken_ += count;
    begun_ = begun_ || count > 0;
  }

 private:
  static constexpr std::string_view kMark = "\xEF\xBB\xBF";  // a byte order mark, passed over

  std::string bytes_;
  std::size_t taken_ = 0;
  std::uint64_t line_ = 1;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace ctl
