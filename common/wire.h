// Protobuf wire format by hand: a bounds-checked reader and appending writers.
//
// Thread: any.  Lifetime: views stay valid while the bytes they were read from do.
// Used where a million protobuf objects would cost more than the work itself; everything else uses
// generated code.  Source: protobuf.dev/programming-guides/encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace common {

// The error of a message that does not parse: INVALID_ARGUMENT "malformed <what>".
inline Status Malformed(std::string_view what) { return InvalidArgument("malformed {}", what); }

// for (WireReader in(bytes); in.Next();) switch (in.field()) …; then check in.ok().
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  // Moves to the next field. False at the end and on malformed input; see ok().
  bool Next() {
    // Nearly all fields have a tag of one byte; bytes, a length of one or two.
    if (rest_.size() < kShortHeaderBytes) return NextOfAnySize();
    const auto tag = static_cast<unsigned char>(rest_[0]);
    if (tag < 8 || tag >= 0x80 || (tag & 5) != 0) return NextOfAnySize();
    if ((tag & 7) == 0) {
      field_ = tag >> 3;
      type_ = 0;
      rest_.remove_prefix(1);
      return ReadVarint(number_) || Fail();
    }
    std::size_t length = static_cast<unsigned char>(rest_[1]);
    std::size_t header = 2;
    if (length >= 0x80) {
      const auto high = static_cast<unsigned char>(rest_[2]);
      if (high >= 0x80) return NextOfAnySize();
      length = (length & 0x7F) | std::size_t{high} << 7;
      header = 3;
    }
    if (length > rest_.size() - header) return NextOfAnySize();
    field_ = tag >> 3;
    type_ = 2;
    bytes_ = {rest_.data() + header, length};
    rest_.remove_prefix(header + length);
    return true;
  }
  bool ok() const { return ok_; }

  std::uint32_t field() const { return field_; }
  bool is_bytes() const { return type_ == 2; }
  bool is_varint() const { return type_ == 0; }
  std::string_view bytes() const { return bytes_; }  // of a length-delimited field
  std::uint64_t varint() const { return number_; }   // of a varint or fixed field

 private:
  static constexpr std::size_t kShortHeaderBytes = 3;

  bool NextOfAnySize();
  bool ReadVarint(std::uint64_t& value);
  bool Fail() {
    ok_ = false;
    rest_ = {};
    return false;
  }

  std::string_view rest_;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
  std::uint32_t field_ = 0;
  std::uint32_t type_ = 0;
  bool ok_ = true;
};

inline std::size_t VarintBytes(std::uint64_t value) {
  std::size_t count = 1;
  for (; value >= 0x80; value >>= 7) ++count;
  return count;
}

void AppendVarint(std::uint64_t value, std::string& out);
// A length-delimited field: tag, length, bytes.
void AppendBytesField(std::uint32_t field, std::string_view bytes, std::string& out);
// Only the tag and the length; `length` bytes must follow.
void AppendBytesHeader(std::uint32_t field, std::size_t length, std::string& out);
void AppendVarintField(std::uint32_t field, std::uint64_t value, std::string& out);
// What AppendBytesField adds for `length` bytes; fields up to 15.
inline std::size_t BytesFieldSize(std::size_t length) { return 1 + VarintBytes(length) + length; }

}  // namespace common
