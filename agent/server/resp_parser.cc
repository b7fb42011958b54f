#include "agent/server/resp_parser.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/status.h"

namespace agent {
namespace {

// Beyond these the numbers are nonsense rather than too ambitious (Redis' own bounds).
constexpr std::int64_t kArgumentsSane = common::kMiB;
constexpr std::int64_t kBulkSane = 512 * common::kMiB;
constexpr std::string_view kHttpError =
    "ERR Protocol error: this socket speaks the Redis protocol, not HTTP; "
    "HTTP is served at the agent's --admin address";

std::optional<std::int64_t> ParseNumber(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::ptrdiff_t kArgumentBytesMin = 6;  // "$0\r\n\r\n"

// Reads "<type><1 to 6 digits>\r\n" and moves `at` behind it; -1: it is not that, or not yet.
std::int32_t TakeHeader(char type, const char*& at, const char* end) {
  if (end - at < 4 || *at != type) return -1;
  const char* const digits_end = std::min(at + 7, end - 2);
  const char* digit = at + 1;
  std::int32_t value = 0;
  do {
    const unsigned number = static_cast<unsigned char>(*digit) - unsigned{'0'};
    if (number > 9) return -1;
    value = value * 10 + static_cast<std::int32_t>(number);
    ++digit;
  } while (digit < digits_end && *digit != '\r');
  if (digit[0] != '\r' || digit[1] != '\n') return -1;
  at = digit + 2;
  return value;
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }

bool IsHostHeader(std::string_view text) {
  constexpr std::string_view kLower = "host:";
  return std::equal(text.begin(), text.end(), kLower.begin(), kLower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
  });
}

// Reads one word of an inline command: plain text with "…" and '…' parts.
class InlineWord {
 public:
  InlineWord(std::string_view line, std::size_t& position, std::string& out)
      : line_(line), at_(position), out_(out) {}

  // False: a quote is not closed, or is closed inside a word.
  bool Read() {
    while (at_ < line_.size() && !IsSpace(line_[at_])) {
      const char c = line_[at_++];
      if (c == '"' || c == '\'') return Quoted(c) && (at_ == line_.size() || IsSpace(line_[at_]));
      out_.push_back(c);
    }
    return true;
  }

 private:
  bool Quoted(char quote) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == quote) return true;
      if (c == '\\' && at_ < line_.size() && (quote == '"' || line_[at_] == '\'')) {
        Escape(line_[at_++]);
      } else {
        out_.push_back(c);
      }
    }
    return false;
  }

  void Escape(char c) {
    unsigned byte = 0;
    const char* hex = line_.data() + at_;
    if (c == 'x' && line_.size() - at_ >= 2 &&
        std::from_chars(hex, hex + 2, byte, 16).ptr == hex + 2) {
      at_ += 2;
      out_.push_back(static_cast<char>(byte));
      return;
    }
    constexpr std::string_view kNames = "nrtba";
    constexpr std::string_view kBytes = "\n\r\t\b\a";
    const std::size_t index = kNames.find(c);
    out_.push_back(index == std::string_view::npos ? c : kBytes[index]);
  }

  std::string_view line_;
  std::size_t& at_;
  std::string& out_;
};

}  // namespace

RespParser::Result RespParser::Next(std::string_view bytes) {
  bytes_ = bytes;
  consumed_ = 0;
  if (state_ == State::kStart && TakeWhole()) return Result::kCommand;
  Step step = Step::kContinue;
  while (step == Step::kContinue) {
    switch (state_) {
      case State::kStart:
        step = Start();
        break;
      case State::kBulkHeader:
        step = BulkHeader();
        break;
      case State::kBulkBody:
        step = BulkBody();
        break;
    }
  }
  if (step == Step::kNeedMore) {
    if (dropping_ || state_ == State::kStart) consumed_ = std::exchange(position_, 0);
    searched_ -= std::min(searched_, consumed_);
    return Result::kNeedMore;
  }
  consumed_ = std::exchange(position_, 0);
  searched_ = 0;
  state_ = State::kStart;
  dropping_ = false;
  if (step == Step::kCommand) return Result::kCommand;
  return step == Step::kOverLimit ? Result::kOverLimit : Result::kProtocolError;
}

// The usual case at once: a multibulk command that lies in the input whole and within the limits.
// False: it is something else, for the steps below; nothing has changed but arguments().
bool RespParser::TakeWhole() {
  const char* at = bytes_.data();
  const char* const end = at + bytes_.size();
  const std::int32_t count = TakeHeader('*', at, end);
  if (count <= 0 || static_cast<std::size_t>(count) > limits_.arguments) return false;
  if (end - at < count * kArgumentBytesMin) return false;
  arguments_.resize(static_cast<std::size_t>(count));
  std::size_t command_bytes = 0;
  for (std::string_view& argument : arguments_) {
    const std::int32_t header = TakeHeader('$', at, end);
    if (header < 0) return false;
    const auto size = static_cast<std::size_t>(header);
    command_bytes += size;
    const bool fits = size <= limits_.bulk_bytes && command_bytes <= limits_.command_bytes;
    if (!fits || static_cast<std::size_t>(end - at) < size + 2) return false;
    if (at[size] != '\r' || at[size + 1] != '\n') return false;
    argument = std::string_view(at, size);
    at += size + 2;
  }
  unquoted_.clear();
  consumed_ = static_cast<std::size_t>(at - bytes_.data());
  searched_ = 0;
  return true;
}

void RespParser::Reset() {
  state_ = State::kStart;
  position_ = 0;
  searched_ = 0;
  dropping_ = false;
}

bool RespParser::TakeLine(std::string_view& line) {
  const std::size_t end = bytes_.find('\n', std::max(position_, searched_));
  if (end == std::string_view::npos) {
    searched_ = bytes_.size();
    return false;
  }
  line = bytes_.substr(position_, end - position_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  position_ = end + 1;
  return true;
}

RespParser::Step RespParser::Fail(std::string error) {
  error_ = std::move(error);
  return Step::kProtocolError;
}

void RespParser::Drop(std::string why) {
  dropping_ = true;
  error_ = std::move(why);
}

// The bound holds for a line that came in one piece, too: how it was cut must not matter.
RespParser::Step RespParser::TakeBoundedLine(std::string_view& line, const char* too_big) {
  const std::size_t begin = position_;
  const bool whole = TakeLine(line);
  const std::size_t bytes = whole ? position_ - begin - 1 : bytes_.size() - begin;
  if (bytes > limits_.inline_bytes) return Fail(too_big);
  return whole ? Step::kContinue : Step::kNeedMore;
}

RespParser::Step RespParser::Start() {
  if (position_ == bytes_.size()) return Step::kNeedMore;
  const bool multibulk = bytes_[position_] == '*';
  std::string_view line;
  const Step step =
      TakeBoundedLine(line, multibulk ? "ERR Protocol error: too big mbulk count string"
                                      : "ERR Protocol error: too big inline request");
  if (step != Step::kContinue) return step;
  pieces_.clear();
  arguments_.clear();
  unquoted_.clear();
  return multibulk ? StartMultibulk(line) : StartInline(line);
}

RespParser::Step RespParser::StartMultibulk(std::string_view line) {
  const auto count = ParseNumber(line.substr(1));
  if (!count || *count > kArgumentsSane) {
    return Fail("ERR Protocol error: invalid multibulk length");
  }
  if (*count <= 0) return Step::kContinue;
  arguments_left_ = *count;
  command_bytes_ = 0;
  if (static_cast<std::size_t>(*count) > limits_.arguments) {
    Drop(fmt::format("TOOBIG command has {} arguments; at most {}", *count, limits_.arguments));
  }
  state_ = State::kBulkHeader;
  return Step::kContinue;
}

RespParser::Step RespParser::BulkHeader() {
  if (position_ == bytes_.size()) return Step::kNeedMore;
  if (bytes_[position_] != '$') {
    return Fail(fmt::format("ERR Protocol error: expected '$', got '{}'", bytes_[position_]));
  }
  std::string_view line;
  const Step step = TakeBoundedLine(line, "ERR Protocol error: too big bulk count string");
  if (step != Step::kContinue) return step;
  const auto size = ParseNumber(line.substr(1));
  if (!size || *size < 0 || *size > kBulkSane) {
    return Fail("ERR Protocol error: invalid bulk length");
  }
  body_left_ = static_cast<std::size_t>(*size);
  command_bytes_ += body_left_;
  if (dropping_) {
    // Said already why.
  } else if (body_left_ > limits_.bulk_bytes) {
    Drop(fmt::format("TOOBIG argument of {} bytes; at most {}", body_left_, limits_.bulk_bytes));
  } else if (command_bytes_ > limits_.command_bytes) {
    Drop(fmt::format("TOOBIG command of more than {} bytes", limits_.command_bytes));
  }
  body_left_ += 2;
  state_ = State::kBulkBody;
  return Step::kContinue;
}

RespParser::Step RespParser::BulkBody() {
  const std::size_t available = bytes_.size() - position_;
  if (dropping_) {
    const std::size_t step = std::min(available, body_left_);
    position_ += step;
    body_left_ -= step;
    if (body_left_ > 0) return Step::kNeedMore;
  } else {
    if (available < body_left_) return Step::kNeedMore;
    const std::size_t size = body_left_ - 2;
    if (bytes_.substr(position_ + size, 2) != "\r\n") {
      return Fail("ERR Protocol error: expected CRLF behind a bulk string");
    }
    pieces_.push_back({position_, size});
    position_ += body_left_;
  }
  if (--arguments_left_ == 0) return FinishMultibulk();
  state_ = State::kBulkHeader;
  return Step::kContinue;
}

RespParser::Step RespParser::FinishMultibulk() {
  if (dropping_) return Step::kOverLimit;
  for (const Piece& piece : pieces_) arguments_.push_back(bytes_.substr(piece.offset, piece.size));
  return Step::kCommand;
}

RespParser::Step RespParser::StartInline(std::string_view line) {
  std::size_t at = 0;
  for (;;) {
    while (at < line.size() && IsSpace(line[at])) ++at;
    if (at == line.size()) break;
    const std::size_t begin = unquoted_.size();
    if (!InlineWord(line, at, unquoted_).Read()) {
      return Fail("ERR Protocol error: unbalanced quotes in request");
    }
    pieces_.push_back({begin, unquoted_.size() - begin});
  }
  if (pieces_.empty()) return Step::kContinue;
  const std::string_view words = unquoted_;
  for (const Piece& piece : pieces_) arguments_.push_back(words.substr(piece.offset, piece.size));
  const bool request_line = arguments_.size() == 3 && arguments_[2].starts_with("HTTP/");
  if (request_line || IsHostHeader(arguments_[0])) {
    return Fail(std::string(kHttpError));
  }
  return Step::kCommand;
}

}  // namespace agent
