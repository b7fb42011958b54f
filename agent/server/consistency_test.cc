// Who may answer a read, as a table; tokens; waits.
#include "agent/server/consistency.h"

#include <gtest/gtest.h>

#include "agent/server/read_options.h"
#include "agent/server/waits.h"

namespace agent {
namespace {

using common::ConsistencyLevel;
using common::Mode;
using common::OnStale;
using std::chrono::milliseconds;

const common::MonotonicTime kNow{std::chrono::hours(5)};

CopyStatus CopyOf(Mode mode, ConsistencyLevel level, OnStale on_stale, int bound_ms,
                  std::optional<int> age_ms) {
  CopyStatus copy;
  copy.mode = mode;
  copy.consistency = {level, milliseconds(bound_ms), on_stale};
  if (age_ms) copy.proven_at = kNow - milliseconds(*age_ms);
  return copy;
}

ReadNeed Bounded(int ms) {
  return {.level = ConsistencyLevel::kBounded, .bound = milliseconds(ms)};
}

TEST(ConsistencyTest, WhoMayAnswer) {
  const auto level = [](ConsistencyLevel what) { return ReadNeed{.level = what}; };
  const auto eventual =
      CopyOf(Mode::kReplicate, ConsistencyLevel::kEventual, OnStale::kServe, 0, 900);
  const auto never =
      CopyOf(Mode::kReplicate, ConsistencyLevel::kEventual, OnStale::kServe, 0, std::nullopt);
  const auto bounded = [](OnStale on_stale, std::optional<int> age) {
    return CopyOf(Mode::kReplicate, ConsistencyLevel::kBounded, on_stale, 500, age);
  };
  const auto strong = CopyOf(Mode::kReplicate, ConsistencyLevel::kStrong, OnStale::kServe, 0, 1);
  const auto through =
      CopyOf(Mode::kReadThrough, ConsistencyLevel::kEventual, OnStale::kServe, 0, {});
  struct Case {
    const char* what;
    CopyStatus copy;
    ReadNeed need;
    ReadPath want;
  };
  const Case cases[] = {
      {"eventual serves whatever its age", eventual, {}, ReadPath::kLocal},
      {"eventual serves without proof", never, {}, ReadPath::kLocal},
      {"own bound met", eventual, Bounded(900), ReadPath::kLocal},
      {"own bound missed", eventual, Bounded(899), ReadPath::kStale},
      {"unknown is never fresh", never, Bounded(1'000'000), ReadPath::kStale},
      {"strong read", eventual, level(ConsistencyLevel::kStrong), ReadPath::kRemote},
      {"bound of the subscription met", bounded(OnStale::kError, 500), {}, ReadPath::kLocal},
      {"missed: error", bounded(OnStale::kError, 501), {}, ReadPath::kStale},
      {"missed: serve", bounded(OnStale::kServe, 501), {}, ReadPath::kLocal},
      {"missed: read through", bounded(OnStale::kReadThrough, 501), {}, ReadPath::kRemote},
      {"never proven: error", bounded(OnStale::kError, {}), {}, ReadPath::kStale},
      {"never proven: read through", bounded(OnStale::kReadThrough, {}), {}, ReadPath::kRemote},
      {"a named bound is not served late", bounded(OnStale::kServe, 501), Bounded(500),
       ReadPath::kStale},
      {"a named bound may be read through", bounded(OnStale::kReadThrough, 501), Bounded(400),
       ReadPath::kRemote},
      {"a wider bound overrides", bounded(OnStale::kError, 501), Bounded(600), ReadPath::kLocal},
      {"eventual overrides", bounded(OnStale::kError, 501), level(ConsistencyLevel::kEventual),
       ReadPath::kLocal},
      {"strong subscription", strong, {}, ReadPath::kRemote},
      {"strong subscription, eventual read", strong, level(ConsistencyLevel::kEventual),
       ReadPath::kLocal},
      {"read-through has nothing else", through, level(ConsistencyLevel::kEventual),
       ReadPath::kRemote},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(Judge(&c.copy, c.need, kNow).path, c.want);
  }
  EXPECT_EQ(Judge(nullptr, level(ConsistencyLevel::kStrong), kNow).path, ReadPath::kLocal);
}

TEST(ConsistencyTest, BridgedCopyIsNotRead) {
  CopyStatus copy = CopyOf(Mode::kReplicate, ConsistencyLevel::kEventual, OnStale::kServe, 0, 1);
  copy.bridged = true;
  EXPECT_EQ(Judge(&copy, {}, kNow).path, ReadPath::kRemote);
}

TEST(ConsistencyTest, StaleVerdictTellsAgeAndBound) {
  const auto copy = CopyOf(Mode::kReplicate, ConsistencyLevel::kBounded, OnStale::kError, 500, 750);
  const Verdict verdict = Judge(&copy, {}, kNow);
  EXPECT_EQ(verdict.age, milliseconds(750));
  EXPECT_EQ(verdict.bound, milliseconds(500));
}

TEST(ConsistencyTest, TheLongestPrefixCounts) {
  AgentStatus status;
  for (const char* prefix : {"", "a", "ab", "abc/", "b"}) {
    status.copies.emplace_back().collection = {.dataset = "ds", .prefix = prefix};
  }
  status.copies.emplace_back().collection = {.dataset = "eu", .prefix = "x"};
  const auto covering = [&](const char* dataset, const char* key) {
    const CopyStatus* copy = status.Covering(dataset, key);
    return copy == nullptr ? "none" : copy->collection.prefix;
  };
  EXPECT_EQ(covering("ds", "z"), "");
  EXPECT_EQ(covering("ds", "a"), "a");
  EXPECT_EQ(covering("ds", "abc"), "ab");
  EXPECT_EQ(covering("ds", "abc/1"), "abc/");
  EXPECT_EQ(covering("ds", "ac"), "a");
  EXPECT_EQ(covering("ds", "b1"), "b");
  EXPECT_EQ(covering("eu", "x1"), "x");
  EXPECT_EQ(covering("eu", "y"), "none");
  EXPECT_EQ(covering("dt", "a"), "none");
}

TEST(ConsistencyTest, Tokens) {
  EXPECT_EQ(ParseToken("0123456789ab.7"), (Token{0x0123456789ab, 7}));
  EXPECT_EQ(ParseToken("7"), (Token{0, 7}));
  for (const char* bad :
       {"", ".", "x", "-1", "7x", "000000000000.7", "0123456789ab.", "1.2", "+1"}) {
    EXPECT_EQ(ParseToken(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(ReachOf({9, 7}, {9, 7}), Reach::kThere);
  EXPECT_EQ(ReachOf({9, 7}, {0, 7}), Reach::kThere);
  EXPECT_EQ(ReachOf({9, 7}, {9, 8}), Reach::kNotYet);
  EXPECT_EQ(ReachOf({9, 7}, {8, 1}), Reach::kOtherEpoch);
}

TEST(ReadOptionsTest, GoodAndBad) {
  struct Case {
    std::vector<std::string_view> options;
    std::string error;
  };
  const std::string millis = " must be a number of milliseconds from ";
  const Case cases[] = {
      {{}, ""},
      {{"STRONG"}, ""},
      {{"maxstale", "0"}, ""},
      {{"MAXSTALE", "5000", "MINREV", "17", "TIMEOUT", "10", "WITHMETA"}, ""},
      {{"MINREV", "0123456789ab.17"}, ""},
      {{"STRONG", "TIMEOUT", "60000"}, ""},
      {{"BOGUS"}, "ERR syntax error"},
      {{"MAXSTALE"}, "ERR syntax error"},
      {{"MINREV"}, "ERR syntax error"},
      {{"TIMEOUT"}, "ERR syntax error"},
      {{"MAXSTALE", "-1"}, "ERR MAXSTALE" + millis + "0 to 2592000000, not '-1'"},
      {{"MAXSTALE", "abc"}, "ERR MAXSTALE" + millis + "0 to 2592000000, not 'abc'"},
      {{"TIMEOUT", "0"}, "ERR TIMEOUT" + millis + "1 to 60000, not '0'"},
      {{"TIMEOUT", "60001"}, "ERR TIMEOUT" + millis + "1 to 60000, not '60001'"},
      {{"MINREV", "x"},
       "ERR MINREV must be a revision, or a token as TRIB.LASTREV gives it "
       "(<epoch>.<revision>), not 'x'"},
      {{"STRONG", "MAXSTALE", "5"},
       "ERR STRONG cannot be combined with MAXSTALE: a strong read is at least as fresh"},
      {{"MINREV", "5", "STRONG"},
       "ERR STRONG cannot be combined with MINREV: a strong read is at least as fresh"},
      {{"MAXSTALE", "5", "MAXSTALE", "6"}, "ERR option MAXSTALE is given twice"},
      {{"MINREV", "5", "MINREV", "6"}, "ERR option MINREV is given twice"},
      {{"TIMEOUT", "5", "TIMEOUT", "6"}, "ERR option TIMEOUT is given twice"},
  };
  for (const Case& c : cases) {
    ReadNeed need;
    EXPECT_EQ(ParseReadOptions(c.options, need).value_or(""), c.error);
  }
}

TEST(ReadOptionsTest, ConsistencyOfAConnection) {
  struct Case {
    std::vector<std::string_view> args;
    std::string error;
  };
  const Case cases[] = {
      {{"EVENTUAL"}, ""},
      {{"strong"}, ""},
      {{"default"}, ""},
      {{"BOUNDED", "250"}, ""},
      {{"BOUNDED"}, "ERR BOUNDED needs a number of milliseconds"},
      {{"STRONG", "5"}, "ERR syntax error"},
      {{"BOUNDED", "-5"},
       "ERR BOUNDED must be a number of milliseconds from 0 to 2592000000, not '-5'"},
      {{"SERIAL"}, "ERR unknown consistency 'SERIAL'; EVENTUAL, BOUNDED <ms>, STRONG or DEFAULT"},
  };
  for (const Case& c : cases) {
    ReadNeed need;
    EXPECT_EQ(ParseConsistency(c.args, need).value_or(""), c.error);
  }
  ReadNeed need;
  ASSERT_FALSE(ParseConsistency(std::vector<std::string_view>{"BOUNDED", "250"}, need));
  EXPECT_EQ(need.bound, milliseconds(250));
  ASSERT_TRUE(ParseConsistency(std::vector<std::string_view>{"NONSENSE"}, need));
  EXPECT_EQ(need.bound, milliseconds(250));  // an error changes nothing
}

TEST(WaitsTest, EndWhenAllIsReachedOrTimeIsUp) {
  Waits waits;
  EXPECT_FALSE(waits.any());
  const auto target = [](const char* dataset) {
    return WaitTarget{.dataset = dataset, .key = "k"};
  };
  waits.Add({.session = 1,
             .ticket = 1,
             .targets = {target("a"), target("b")},
             .deadline = kNow + milliseconds(50)});
  waits.Add(
      {.session = 2, .ticket = 9, .targets = {target("b")}, .deadline = kNow + milliseconds(20)});
  EXPECT_TRUE(waits.any());
  EXPECT_TRUE(waits.TakeAdded());
  EXPECT_FALSE(waits.TakeAdded());
  EXPECT_EQ(waits.next_deadline(), kNow + milliseconds(20));
  const auto reached = [](const WaitTarget& t) { return t.dataset == "a"; };
  EXPECT_TRUE(waits.TakeOver(reached, kNow).empty());
  auto over = waits.TakeOver(reached, kNow + milliseconds(20));
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].session, 2u);
  EXPECT_FALSE(over[0].in_time);
  over = waits.TakeOver([](const WaitTarget&) { return true; }, kNow + milliseconds(60));
  ASSERT_EQ(over.size(), 1u);
  EXPECT_TRUE(over[0].in_time);
  EXPECT_FALSE(waits.any());
  EXPECT_EQ(waits.next_deadline(), std::nullopt);
}

}  // namespace
}  // namespace agent
