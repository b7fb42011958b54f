// Any bytes, cut anywhere: the parser neither crashes nor loops, consumes no more than it was
// given, and says the same as when it sees all bytes at once.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/server/resp_parser.h"
#include "common/status.h"

namespace {

using agent::RespLimits;
using agent::RespParser;

std::string Outcome(std::string_view bytes, std::size_t piece_bytes) {
  RespParser parser(
      RespLimits{.inline_bytes = 64, .bulk_bytes = 32, .arguments = 8, .command_bytes = 64});
  std::string kept;
  std::string outcome;
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
    kept += bytes.substr(at, piece_bytes);
    for (;;) {
      const RespParser::Result result = parser.Next(kept);
      CHECK(parser.consumed() <= kept.size());
      if (result == RespParser::Result::kNeedMore) {
        kept.erase(0, parser.consumed());
        break;
      }
      outcome += static_cast<char>('0' + static_cast<int>(result));
      if (result == RespParser::Result::kCommand) {
        CHECK(!parser.arguments().empty());
        for (const std::string_view arg : parser.arguments()) outcome.append(arg).append("|");
      } else {
        outcome += parser.error();
      }
      if (result == RespParser::Result::kProtocolError) return outcome;
      CHECK(parser.consumed() > 0);
      kept.erase(0, parser.consumed());
    }
    CHECK(kept.size() <= 64 + 8 * (32 + 70) + piece_bytes);
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.empty()) return 0;
  const std::string whole = Outcome(bytes, bytes.size());
  CHECK(Outcome(bytes, 1) == whole);
  CHECK(Outcome(bytes, 1 + bytes.size() % 7) == whole);
  return 0;
}
