// Any text is declarations or an error that begins with file and line; what was read prints to JSON
// that reads back as the same object.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/declarations.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = common::ParseDeclarations(text, "f");
  if (!parsed.ok()) {
    CHECK(common::Message(parsed.status()).starts_with("f:"));
    return 0;
  }
  for (const common::Declaration& object : *parsed) {
    const auto again = common::ParseDeclarations(common::ToJson(object), "g");
    CHECK(again.ok() && again->size() == 1 && again->front() == object);
  }
  (void)common::ParseSubscribeFlag(text).ok();
  return 0;
}
