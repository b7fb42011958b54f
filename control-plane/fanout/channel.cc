#include "control-plane/fanout/channel.h"

#include "common/delta_codec.h"
#include "common/entry.h"

namespace cp {

NamedAnswer ResourceAnswer(std::string_view name, std::string_view version,
                           std::string_view type_url, std::string_view payload) {
  NamedAnswer answer{.version = std::string(version)};
  common::AppendResourceField(name, version, type_url, payload, answer.fields);
  return answer;
}

NamedAnswer RemovedAnswer(std::string_view name) {
  NamedAnswer answer;
  common::AppendRemovedField(name, answer.fields);
  return answer;
}

NamedAnswer RefusedAnswer(std::string_view name, const common::Status& why) {
  NamedAnswer answer = RemovedAnswer(name);
  const int code = static_cast<int>(why.code());
  common::AppendResourceErrorField(
      name, {.code = code, .message = std::string(common::Message(why))}, answer.fields);
  answer.version = fmt::format("!{}", code);
  return answer;
}

}  // namespace cp
