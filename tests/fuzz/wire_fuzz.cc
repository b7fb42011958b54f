// The hand-written wire decoders: any bytes are a value or an error, views stay inside the bytes
// (AddressSanitizer watches), and what was decoded encodes to something that decodes the same.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/delta_codec.h"
#include "common/entry.h"
#include "common/names.h"
#include "common/packed.h"
#include "common/version.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::size_t touched = 0;  // reads every byte of a view
void Touch(std::string_view view) {
  for (const char c : view) touched += static_cast<unsigned char>(c);
}

void Request(std::string_view bytes) {
  const auto request = common::DecodeDeltaRequest(bytes);
  if (!request.ok()) return;
  const std::string encoded = common::EncodeDeltaRequest(*request);
  const auto again = common::DecodeDeltaRequest(encoded);
  CHECK(again.ok());
  CHECK(common::EncodeDeltaRequest(*again) == encoded);
}

void Response(std::string_view bytes) {
  common::DeltaResponseView view;
  if (!common::DecodeDeltaResponse(bytes, view).ok()) return;
  Touch(view.type_url);
  Touch(view.nonce);
  for (const common::ResourceView& resource : view.resources) {
    Touch(resource.name);
    Touch(resource.payload);
    (void)common::ParseEntryName(resource.name);
    (void)common::ParseMarker(resource.version);
  }
  for (const std::string_view name : view.removed) Touch(name);
  for (const common::ResourceErrorView& error : view.errors) Touch(error.message);
}

void Packed(std::string_view bytes) {
  const auto unpacked = common::Unpack(bytes);
  if (unpacked.ok() && *unpacked != nullptr) Response(**unpacked);
}

void Payload(std::string_view bytes) {
  const std::optional<common::EntryView> entry = common::ParseEntryPayload(bytes);
  if (!entry) return;
  std::string encoded;
  common::AppendEntryPayload(*entry, encoded);
  const std::optional<common::EntryView> again = common::ParseEntryPayload(encoded);
  CHECK(again && again->value == entry->value && again->content_type == entry->content_type);
}

void Texts(std::string_view bytes) {
  if (const auto cursor = common::ParseCursor(bytes)) {
    CHECK(common::ParseCursor(common::FormatCursor(*cursor)) == cursor);
  }
  if (const auto version = common::ParseVersion(bytes)) {
    CHECK(common::ParseVersion(common::FormatVersion(*version)) == version);
  }
  if (const auto marker = common::ParseMarker(bytes)) {
    CHECK(common::ParseMarker(common::FormatMarker(*marker)) == marker);
  }
  if (const auto name = common::ParseEntryName(bytes); name && !name->is_collection) {
    const auto again = common::ParseEntryName(common::EntryName(name->dataset, name->key));
    CHECK(again && again->key == name->key && again->dataset == name->dataset);
  }
  const std::string_view half = bytes.substr(0, bytes.size() / 2);
  if (half.size() < 64) (void)common::GlobMatch(half, bytes.substr(half.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Request(bytes);
  Response(bytes);
  Packed(bytes);
  Payload(bytes);
  Texts(bytes);
  return 0;
}
