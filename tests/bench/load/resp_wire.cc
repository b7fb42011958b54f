#include "tests/bench/load/resp_wire.h"

#include <cstdlib>
#include <cstring>

namespace bench {

char* ReplyCutter::Room(std::size_t bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < bytes && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < bytes) buffer_.resize(end_ + bytes);
  return buffer_.data() + end_;
}

std::size_t ReplyCutter::EndOfReply(std::size_t at) const {
  const char* const data = buffer_.data();
  for (std::size_t needed = 1; needed > 0; --needed) {
    if (at >= end_) return std::string_view::npos;
    const auto* eol = static_cast<const char*>(std::memchr(data + at, '\n', end_ - at));
    if (eol == nullptr) return std::string_view::npos;
    const char kind = data[at];
    long length = 0;
    if (kind == '$' || kind == '*' || kind == '>' || kind == '%' || kind == '~') {
      length = std::strtol(data + at + 1, nullptr, 10);
    }
    at = static_cast<std::size_t>(eol - data) + 1;
    if (length < 0) continue;
    if (kind == '$') at += static_cast<std::size_t>(length) + 2;
    if (kind == '*' || kind == '>' || kind == '~') needed += static_cast<std::size_t>(length);
    if (kind == '%') needed += 2 * static_cast<std::size_t>(length);
    if (at > end_) return std::string_view::npos;
  }
  return at;
}

bool ReplyCutter::Next(std::string_view& reply) {
  const std::size_t end = EndOfReply(begin_);
  if (end == std::string_view::npos || begin_ == end_) return false;
  reply = {buffer_.data() + begin_, end - begin_};
  begin_ = end;
  return true;
}

std::size_t ReplyCutter::SkipAll(std::size_t& errors, std::string& first_error) {
  std::size_t count = 0;
  for (std::string_view reply; Next(reply); ++count) {
    if (reply[0] != '-') continue;
    if (errors++ == 0) first_error = reply.substr(0, reply.size() - 2);
  }
  return count;
}

}  // namespace bench
