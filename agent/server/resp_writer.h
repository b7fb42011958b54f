// RespWriter: replies in RESP2 or RESP3, appended to a buffer.
//
// Thread: the loop.  Lifetime: a view onto a buffer that somebody else owns; make one per reply.
// Aggregates are opened with their size, then that many elements (for maps: pairs) are written.
// What RESP2 cannot express becomes what Redis makes of it: a map is a flat array, null is $-1.
// Source: redis.io/docs/reference/protocol-spec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent {

enum class RespVersion { k2 = 2, k3 = 3 };

class RespWriter {
 public:
  RespWriter(std::string& out, RespVersion version) : out_(out), version_(version) {}

  void Simple(std::string_view text);  // no CR or LF in it
  void Ok() { out_.append("+OK\r\n"); }
  // `text` begins with the error code; CR and LF in it become spaces.
  void Error(std::string_view text);
  void Integer(std::int64_t value) { Header(':', value); }
  void Bulk(std::string_view bytes);
  void Null();
  void NullArray();
  void Verbatim(std::string_view text);  // plain text meant for people

  void Array(std::size_t size) { Header('*', static_cast<std::int64_t>(size)); }
  void Map(std::size_t pairs);
  void Set(std::size_t size);
  void Push(std::size_t size);  // out-of-band message

  RespVersion version() const { return version_; }
  std::string& out() { return out_; }

 private:
  void Header(char type, std::int64_t value);
  bool is3() const { return version_ == RespVersion::k3; }

  std::string& out_;
  const RespVersion version_;
};

}  // namespace agent
