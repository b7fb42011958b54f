#include "common/wire.h"

#include <algorithm>

namespace common {

bool WireReader::ReadVarint(std::uint64_t& value) {
  constexpr std::size_t kBytesMax = 10;
  const char* at = rest_.data();
  const char* const end = at + std::min(rest_.size(), kBytesMax);
  value = 0;
  for (int shift = 0; at != end; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte >= 0x80) continue;
    rest_.remove_prefix(static_cast<std::size_t>(at - rest_.data()));
    return shift < 63 || byte <= 1;  // the tenth byte holds one bit
  }
  return false;
}

bool WireReader::NextOfAnySize() {
  if (rest_.empty()) return false;
  std::uint64_t tag = 0;
  if (!ReadVarint(tag) || (tag >> 3) == 0 || (tag >> 3) > 0x1FFF'FFFF) return Fail();
  field_ = static_cast<std::uint32_t>(tag >> 3);
  type_ = static_cast<std::uint32_t>(tag & 7);
  std::size_t length = 0;
  switch (type_) {
    case 0:
      return ReadVarint(number_) || Fail();
    case 1:
      length = 8;
      break;
    case 2: {
      std::uint64_t announced = 0;
      if (!ReadVarint(announced) || announced > rest_.size()) return Fail();
      length = static_cast<std::size_t>(announced);
      break;
    }
    case 5:
      length = 4;
      break;
    default:
      return Fail();  // groups are not proto3
  }
  if (length > rest_.size()) return Fail();
  bytes_ = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return true;
}

void AppendVarint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendBytesHeader(std::uint32_t field, std::size_t length, std::string& out) {
  AppendVarint(field << 3 | 2u, out);
  AppendVarint(length, out);
}

void AppendBytesField(std::uint32_t field, std::string_view bytes, std::string& out) {
  AppendBytesHeader(field, bytes.size(), out);
  out.append(bytes);
}

void AppendVarintField(std::uint32_t field, std::uint64_t value, std::string& out) {
  AppendVarint(field << 3, out);
  AppendVarint(value, out);
}

}  // namespace common
