#include "agent/server/resp_writer.h"

namespace agent {

void RespWriter::Header(char type, std::int64_t value) {
  char text[24];
  char* const end = text + sizeof(text);
  char* begin = end;
  *--begin = '\n';
  *--begin = '\r';
  auto rest = static_cast<std::uint64_t>(value);
  if (value < 0) rest = 0 - rest;
  do {
    *--begin = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) *--begin = '-';
  *--begin = type;
  out_.append(begin, static_cast<std::size_t>(end - begin));
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
