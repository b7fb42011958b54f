// RespParser: commands out of a client's bytes – multibulk ("*2\r\n$3\r\nGET\r\n…") and inline
// ones.
//
// Thread: the loop; pure.  Lifetime: arguments are views into the bytes given to the last Next.
// Incremental: every byte is looked at once however the input is cut, and a command needs no memory
// of its own but the list of its arguments. A command beyond the limits is read to its end, its
// bytes dropped as they come, so that the client can be told and the connection lives on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/limits.h"

namespace agent {

struct RespLimits {
  std::size_t inline_bytes = common::kRespInlineBytesMax;  // also of each header line
  std::size_t bulk_bytes = common::kRespBulkBytesMax;
  std::size_t arguments = common::kRespArgumentsMax;
  std::size_t command_bytes = common::kRespCommandBytesMax;
};

class RespParser {
 public:
  enum class Result {
    kNeedMore,       // call again with more bytes behind these
    kCommand,        // arguments() holds at least one
    kOverLimit,      // a whole command was dropped; error() says which limit, as a reply
    kProtocolError,  // error() is the last reply; close the connection
  };

  explicit RespParser(const RespLimits& limits = RespLimits()) : limits_(limits) {}

  // `bytes` begins with the first byte that no earlier call has consumed.
  Result Next(std::string_view bytes);
  // How many bytes of the last Next are dealt with; also after kNeedMore.
  std::size_t consumed() const { return consumed_; }
  std::span<const std::string_view> arguments() const { return arguments_; }
  // The arguments lie in the parser, not in the bytes: the next Next ends them.
  bool owns_arguments() const { return !unquoted_.empty(); }
  const std::string& error() const { return error_; }
  // Forgets how far it had come in what no Next has consumed.
  void Reset();

 private:
  enum class State { kStart, kBulkHeader, kBulkBody };
  enum class Step { kContinue, kNeedMore, kCommand, kOverLimit, kProtocolError };

  bool TakeWhole();
  Step Start();
  Step StartMultibulk(std::string_view line);
  Step StartInline(std::string_view line);
  Step BulkHeader();
  Step BulkBody();
  Step FinishMultibulk();
  Step Fail(std::string error);
  void Drop(std::string why);
  // The line at position_, without its CRLF, moving behind it; false: not complete.
  bool TakeLine(std::string_view& line);
  // kNeedMore: it is not whole yet; an error: it is longer than limits_.inline_bytes.
  Step TakeBoundedLine(std::string_view& line, const char* too_big);

  struct Piece {
    std::size_t offset;
    std::size_t size;
  };

  const RespLimits limits_;
  State state_ = State::kStart;
  std::string_view bytes_;    // during Next only
  std::size_t position_ = 0;  // next byte to look at
  std::size_t searched_ = 0;  // no line end before this
  std::size_t consumed_ = 0;
  std::int64_t arguments_left_ = 0;
  std::size_t body_left_ = 0;  // of the bulk being read, with its CRLF
  std::size_t command_bytes_ = 0;
  bool dropping_ = false;
  std::vector<Piece> pieces_;
  std::vector<std::string_view> arguments_;
  std::string unquoted_;  // of inline arguments
  std::string error_;
};

}  // namespace agent
