#include "common/packed.h"

#include <zlib.h>

#include "common/limits.h"
#include "common/wire.h"

namespace common {
namespace {

constexpr std::uint32_t kPackedField = 1001;  // of a response; Envoy's own numbers are small
enum PackedPart : std::uint32_t { kSize = 1, kDeflated = 2 };
constexpr int kLevel = 1;  // a response is packed on the way to a client that waits

Status Faulty(std::string_view what) { return InvalidArgument("packed response: {}", what); }

// The packed field's content, unpacked, appended to `out`.
Status Inflate(std::string_view packed, std::string& out) {
  std::uint64_t size = 0;
  std::string_view deflated;
  WireReader in(packed);
  while (in.Next()) {
    if (in.field() == kSize && in.is_varint()) size = in.varint();
    if (in.field() == kDeflated && in.is_bytes()) deflated = in.bytes();
  }
  if (!in.ok()) return Faulty("malformed");
  if (size > kResponseBytesMax) {
    return InvalidArgument("packed response: {} bytes, at most {} are allowed", size,
                           kResponseBytesMax);
  }
  const std::size_t before = out.size();
  out.resize(before + size);
  uLongf length = size;
  const int code = uncompress(reinterpret_cast<Bytef*>(out.data() + before), &length,
                              reinterpret_cast<const Bytef*>(deflated.data()), deflated.size());
  return code == Z_OK && length == size ? OkStatus() : Faulty("does not inflate to what it says");
}

}  // namespace

std::optional<std::string> Pack(std::string_view fields) {
  if (fields.size() < kPackBytesMin) return std::nullopt;
  uLongf length = compressBound(fields.size());
  std::string deflated(length, '\0');
  const int code = compress2(reinterpret_cast<Bytef*>(deflated.data()), &length,
                             reinterpret_cast<const Bytef*>(fields.data()), fields.size(), kLevel);
  CHECK(code == Z_OK);
  if (length > fields.size() / 4 * 3) return std::nullopt;
  deflated.resize(length);
  std::string packed;
  AppendVarintField(kSize, fields.size(), packed);
  AppendBytesField(kDeflated, deflated, packed);
  std::string out;
  AppendBytesField(kPackedField, packed, out);
  return out;
}

StatusOr<std::shared_ptr<const std::string>> Unpack(std::string_view response) {
  WireReader in(response);
  if (!in.Next() || in.field() != kPackedField || !in.is_bytes()) return nullptr;
  const char* const end = in.bytes().data() + in.bytes().size();
  std::string out;
  RETURN_IF_ERROR(Inflate(in.bytes(), out));
  out.append(end, response.data() + response.size());
  return std::make_shared<const std::string>(std::move(out));
}

Status UnpackAndDecode(std::shared_ptr<const std::string>& bytes, DeltaResponseView& view) {
  ASSIGN_OR_RETURN(std::shared_ptr<const std::string> unpacked, Unpack(*bytes));
  if (unpacked != nullptr) bytes = std::move(unpacked);
  return DecodeDeltaResponse(*bytes, view);
}

}  // namespace common
