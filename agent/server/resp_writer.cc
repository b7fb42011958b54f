#include "agent/server/resp_writer.h"

#include <charconv>

namespace agent {

void RespWriter::Header(char type, std::int64_t value) {
  char text[24];
  text[0] = type;
  char* end = std::to_chars(text + 1, text + sizeof(text) - 2, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.append(text, static_cast<std::size_t>(end - text));
}

void RespWriter::Simple(std::string_view text) {
  out_.push_back('+');
  out_.append(text).append("\r\n");
}

void RespWriter::Error(std::string_view text) {
  out_.push_back('-');
  for (const char c : text) out_.push_back(c == '\r' || c == '\n' ? ' ' : c);
  out_.append("\r\n");
}

void RespWriter::Bulk(std::string_view bytes) {
  Header('$', static_cast<std::int64_t>(bytes.size()));
  out_.append(bytes).append("\r\n", 2);
}

void RespWriter::Null() { out_.append(is3() ? "_\r\n" : "$-1\r\n"); }
void RespWriter::NullArray() { out_.append(is3() ? "_\r\n" : "*-1\r\n"); }

void RespWriter::Verbatim(std::string_view text) {
  if (!is3()) return Bulk(text);
  Header('=', static_cast<std::int64_t>(text.size() + 4));
  out_.append("txt:").append(text).append("\r\n");
}

void RespWriter::Map(std::size_t pairs) {
  if (is3()) {
    Header('%', static_cast<std::int64_t>(pairs));
  } else {
    Header('*', static_cast<std::int64_t>(2 * pairs));
  }
}

void RespWriter::Set(std::size_t size) {
  Header(is3() ? '~' : '*', static_cast<std::int64_t>(size));
}

void RespWriter::Push(std::size_t size) {
  Header(is3() ? '>' : '*', static_cast<std::int64_t>(size));
}

}  // namespace agent
