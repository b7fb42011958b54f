// Small pieces of JSON text, written without a document in between.
//
// Thread: any.  Lifetime: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace ctl {

// `text` as a JSON string, quotes included. REQUIRES: UTF-8 (else the result is no JSON).
void AppendJsonString(std::string_view text, std::string& out);

// A member `"name":"text"`; text that is not UTF-8 becomes `"name_base64":"…"`.
void AppendBytesMember(std::string_view name, std::string_view bytes, std::string& out);

}  // namespace ctl
