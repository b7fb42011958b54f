#include "agent/server/resp_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace agent {
namespace {

using testing::ElementsAre;

// Everything that comes out of feeding `pieces`, as text: "GET|a" for commands, "!…" for errors.
std::vector<std::string> Feed(RespParser& parser, const std::vector<std::string>& pieces) {
  std::vector<std::string> out;
  std::string kept;
  for (const std::string& piece : pieces) {
    kept += piece;
    for (bool more = true; more;) {
      const RespParser::Result result = parser.Next(kept);
      std::string text;
      for (const std::string_view arg : parser.arguments()) {
        text.append("|").append(arg);
      }
      kept.erase(0, parser.consumed());
      switch (result) {
        case RespParser::Result::kNeedMore:
          more = false;
          break;
        case RespParser::Result::kCommand:
          out.push_back(text);
          break;
        case RespParser::Result::kOverLimit:
          out.push_back("over: " + parser.error());
          break;
        case RespParser::Result::kProtocolError:
          out.push_back("closed: " + parser.error());
          return out;
      }
    }
  }
  if (!kept.empty()) out.push_back("waiting");
  return out;
}

struct ParserCase {
  const char* what;
  std::string bytes;
  std::vector<std::string> want;
};

RespLimits SmallLimits() {
  return {.inline_bytes = 64, .bulk_bytes = 16, .arguments = 4, .command_bytes = 40};
}

std::string Repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// Limits are those of SmallLimits.
std::vector<ParserCase> Accepted() {
  return {
      {"nothing", "", {}},
      {"one command", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", {"|GET|a"}},
      {"two commands",
       "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n",
       {"|PING", "|ECHO|hi"}},
      {"empty argument", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", {"|GET|"}},
      {"binary argument",
       std::string("*2\r\n$1\r\nA\r\n$4\r\n\0\r\n\xff\r\n", 21),
       {std::string("|A|\0\r\n\xff", 7)}},
      {"no arguments are no command", "*0\r\n*-1\r\n*-7\r\n*1\r\n$1\r\nA\r\n", {"|A"}},
      {"inline", "PING\r\n", {"|PING"}},
      {"inline with LF only", "GET a\n", {"|GET|a"}},
      {"inline with blanks", "  GET \t a  \r\n", {"|GET|a"}},
      {"empty lines", "\r\n\n  \r\nPING\r\n\r\n", {"|PING"}},
      {"inline then multibulk", "PING\r\n*1\r\n$1\r\nA\r\n", {"|PING", "|A"}},
      {"double quotes", "SET a \"x y\\n\\x41\\\"\"\r\n", {"|SET|a|x y\nA\""}},
      {"single quotes", "SET a 'x \\n \\' y'\r\n", {"|SET|a|x \\n ' y"}},
      {"empty quotes", "SET \"\" ''\r\n", {"|SET||"}},
      {"bad hex escape", "ECHO \"\\xZZ\"\r\n", {"|ECHO|xZZ"}},
      {"bulk at the limit", "*1\r\n$16\r\n0123456789abcdef\r\n", {"|0123456789abcdef"}},
      {"arguments at the limit", "*4\r\n" + Repeat("$1\r\nA\r\n", 4), {"|A|A|A|A"}},
      {"bulk over the limit, then life goes on",
       "*3\r\n$1\r\nA\r\n$17\r\n0123456789abcdefg\r\n$1\r\nB\r\nPING\r\n",
       {"over: TOOBIG argument of 17 bytes; at most 16", "|PING"}},
      {"too many arguments, then life goes on",
       "*5\r\n" + Repeat("$1\r\nA\r\n", 5) + "*1\r\n$4\r\nPING\r\n",
       {"over: TOOBIG command has 5 arguments; at most 4", "|PING"}},
      {"too much in all, then life goes on",
       "*4\r\n" + Repeat("$15\r\n0123456789abcde\r\n", 4) + "PING\r\n",
       {"over: TOOBIG command of more than 40 bytes", "|PING"}},
  };
}

std::vector<ParserCase> Rejected() {
  const std::string sp = "ERR Protocol error: ";
  return {
      {"incomplete count", "*12", {"waiting"}},
      {"incomplete bulk", "*1\r\n$3\r\nab", {"waiting"}},
      {"no number of arguments", "*\r\n", {"closed: " + sp + "invalid multibulk length"}},
      {"bad number of arguments", "*x\r\n", {"closed: " + sp + "invalid multibulk length"}},
      {"absurd number of arguments",
       "*1048577\r\n",
       {"closed: " + sp + "invalid multibulk length"}},
      {"number beyond 64 bits",
       "*99999999999999999999\r\n",
       {"closed: " + sp + "invalid multibulk length"}},
      {"no dollar", "*1\r\n:3\r\n", {"closed: " + sp + "expected '$', got ':'"}},
      {"negative bulk", "*1\r\n$-1\r\n", {"closed: " + sp + "invalid bulk length"}},
      {"bulk length is not a number", "*1\r\n$3x\r\n", {"closed: " + sp + "invalid bulk length"}},
      {"absurd bulk", "*1\r\n$536870913\r\n", {"closed: " + sp + "invalid bulk length"}},
      {"bulk longer than it said",
       "*1\r\n$3\r\nabcd\r\n",
       {"closed: " + sp + "expected CRLF behind a bulk string"}},
      {"commands before an error count",
       "PING\r\n*1\r\n!",
       {"|PING", "closed: " + sp + "expected '$', got '!'"}},
      {"open quote", "SET a \"x\r\n", {"closed: " + sp + "unbalanced quotes in request"}},
      {"text behind a quote",
       "SET a \"x\"y\r\n",
       {"closed: " + sp + "unbalanced quotes in request"}},
      {"inline too long", std::string(65, 'x'), {"closed: " + sp + "too big inline request"}},
      {"count line too long",
       "*" + std::string(65, '0'),
       {"closed: " + sp + "too big mbulk count string"}},
      {"bulk line too long",
       "*1\r\n$" + std::string(65, '0'),
       {"closed: " + sp + "too big bulk count string"}},
      {"HTTP",
       "GET / HTTP/1.1\r\n",
       {"closed: " + sp +
        "this socket speaks the Redis protocol, not HTTP; HTTP is served at the "
        "agent's --admin address"}},
      {"HTTP header",
       "Host: x\r\n",
       {"closed: " + sp +
        "this socket speaks the Redis protocol, not HTTP; HTTP is served at the "
        "agent's --admin address"}},
  };
}

std::vector<ParserCase> Cases() {
  std::vector<ParserCase> all = Accepted();
  for (const ParserCase& rejected : Rejected()) all.push_back(rejected);
  return all;
}

TEST(RespParserTest, WholeInput) {
  for (const ParserCase& c : Cases()) {
    SCOPED_TRACE(c.what);
    RespParser parser(SmallLimits());
    EXPECT_EQ(Feed(parser, {c.bytes}), c.want);
  }
}

TEST(RespParserTest, InputCutInTwoAtEveryByte) {
  for (const ParserCase& c : Cases()) {
    SCOPED_TRACE(c.what);
    for (std::size_t cut = 0; cut <= c.bytes.size(); ++cut) {
      RespParser parser(SmallLimits());
      EXPECT_EQ(Feed(parser, {c.bytes.substr(0, cut), c.bytes.substr(cut)}), c.want) << cut;
    }
  }
}

TEST(RespParserTest, InputByteByByte) {
  for (const ParserCase& c : Cases()) {
    SCOPED_TRACE(c.what);
    std::vector<std::string> bytes;
    for (const char byte : c.bytes) bytes.emplace_back(1, byte);
    RespParser parser(SmallLimits());
    EXPECT_EQ(Feed(parser, bytes), c.want);
  }
}

// What is over the limit is dropped as it comes: the connection keeps none of it.
TEST(RespParserTest, DroppedBytesAreConsumedAtOnce) {
  RespParser parser(SmallLimits());
  const std::string head = "*1\r\n$1000000\r\n";
  ASSERT_EQ(parser.Next(head), RespParser::Result::kNeedMore);
  EXPECT_EQ(parser.consumed(), head.size());
  const std::string part(10'000, 'x');
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(parser.Next(part), RespParser::Result::kNeedMore);
    EXPECT_EQ(parser.consumed(), part.size());
  }
  EXPECT_EQ(parser.Next("\r\n"), RespParser::Result::kOverLimit);
}

// Arguments point into what was given, not into copies.
TEST(RespParserTest, ArgumentsAreViewsOfTheInput) {
  const std::string bytes = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
  RespParser parser;
  ASSERT_EQ(parser.Next(bytes), RespParser::Result::kCommand);
  EXPECT_THAT(parser.arguments(), ElementsAre("GET", "a"));
  EXPECT_EQ(parser.arguments()[0].data(), bytes.data() + 8);
}

// Random bytes, random cuts: the outcome does not depend on the cuts, and limits hold.
TEST(RespParserTest, RandomInputRandomCuts) {
  const char* given = std::getenv("TRIBUTARY_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE(testing::Message() << "TRIBUTARY_SEED=" << seed);
  std::mt19937_64 random(seed);
  const std::vector<std::string> words = {"*",    "$",  "1",  "3",  "17",
                                          "\r\n", "\n", "\r", "a",  "GET",
                                          "\"",   "'",  " ",  "-1", "*2\r\n$1\r\na\r\n"};
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes;
    for (std::uint64_t i = random() % 20; i > 0; --i) bytes += words[random() % words.size()];
    RespParser whole(SmallLimits());
    const auto want = Feed(whole, {bytes});
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = 1 + random() % 7;
      pieces.push_back(bytes.substr(at, size));
      at += size;
    }
    RespParser cut(SmallLimits());
    ASSERT_EQ(Feed(cut, pieces), want) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace agent
