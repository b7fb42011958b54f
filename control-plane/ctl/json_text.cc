#include "control-plane/ctl/json_text.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include <iterator>

#include "common/names.h"

namespace ctl {
namespace {

void AppendEscaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7F) continue;
    out.append(text.substr(plain, i - plain));
    AppendEscaped(text[i], out);
    plain = i + 1;
  }
  out.append(text.substr(plain));
  out += '"';
}

void AppendBytesMember(std::string_view name, std::string_view bytes, std::string& out) {
  const bool is_text = common::IsUtf8(bytes);
  AppendJsonString(is_text ? std::string(name) : fmt::format("{}_base64", name), out);
  out += ':';
  AppendJsonString(is_text ? std::string(bytes) : absl::Base64Escape(std::string(bytes)), out);
}

}  // namespace ctl
