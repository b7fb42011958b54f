// ReadQueue: gathering, deadlines, retries, the breaker; and a model that no read is ever answered
// by a call that began before it.
#include "agent/remote/read_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "common/limits.h"
#include "common/read_limits.h"

namespace agent {
namespace {

using common::MonotonicTime;
using common::StatusCode;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class ReadQueueTest : public testing::Test {
 protected:
  // The answer that question `i` was given; nullptr: none yet.
  const ReadAnswer* AnswerTo(std::size_t i) { return answers_[i] ? &*answers_[i] : nullptr; }
  StatusCode CodeOf(std::size_t i) {
    return answers_[i] ? answers_[i]->status.code() : StatusCode::kOk;
  }
  std::size_t Ask(const std::string& dataset, std::vector<std::string> keys,
                  milliseconds timeout = milliseconds(1000)) {
    const std::size_t index = answers_.size();
    answers_.emplace_back();
    queue_.Add({.dataset = dataset,
                .keys = std::move(keys),
                .deadline = now_ + timeout,
                .done =
                    [this, index](ReadAnswer answer) {
                      EXPECT_FALSE(answers_[index]) << "answered twice";
                      answers_[index] = std::move(answer);
                    }},
               now_);
    return index;
  }
  void Succeed(const ReadQueue::Call& call) {
    ReadAnswer answer{.status = common::OkStatus(), .entries = {}};
    for (const std::string& key : call.keys) {
      answer.entries.push_back({.key = key, .found = true, .value = "v" + key});
    }
    queue_.OnAnswer(call.id, std::move(answer), now_);
  }
  void Fail(const ReadQueue::Call& call, StatusCode code) {
    queue_.OnAnswer(call.id, {.status = common::Error(code, "why"), .entries = {}}, now_);
  }
  // Lets the breaker's pause pass.
  void Pause() { now_ += common::kRemoteBackoffMax; }

  MonotonicTime now_{std::chrono::hours(1)};
  ReadQueue queue_{7};
  std::vector<std::optional<ReadAnswer>> answers_;
};

TEST_F(ReadQueueTest, WhatWaitsOfOneDatasetSharesACall) {
  const auto first = Ask("ds", {"a", "b"});
  const auto other = Ask("other", {"x"});
  const auto second = Ask("ds", {"b", "c"});
  const auto call = queue_.Next(now_);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->dataset, "ds");
  EXPECT_THAT(call->keys, ElementsAre("a", "b", "c"));
  const auto next = queue_.Next(now_);
  ASSERT_TRUE(next);
  EXPECT_THAT(next->keys, ElementsAre("x"));
  EXPECT_FALSE(queue_.Next(now_));
  Succeed(*call);
  EXPECT_EQ(AnswerTo(first)->entries[1].value, "vb");
  EXPECT_EQ(AnswerTo(second)->entries[0].value, "vb");
  EXPECT_EQ(AnswerTo(second)->entries[1].value, "vc");
  EXPECT_EQ(AnswerTo(other), nullptr);
}

TEST_F(ReadQueueTest, AQuestionDoesNotJoinACallUnderWay) {
  const auto first = Ask("ds", {"a"});
  const auto call = queue_.Next(now_);
  const auto second = Ask("ds", {"a"});
  Succeed(*call);
  EXPECT_NE(AnswerTo(first), nullptr);
  EXPECT_EQ(AnswerTo(second), nullptr);
  now_ += milliseconds(5);
  const auto again = queue_.Next(now_);
  ASSERT_TRUE(again);
  Succeed(*again);
  EXPECT_EQ(AnswerTo(second)->as_of, now_);
}

TEST_F(ReadQueueTest, TimeIsUp) {
  const auto waiting = Ask("ds", {"a"}, milliseconds(10));
  const auto call = queue_.Next(now_);
  const auto patient = Ask("ds", {"b"}, milliseconds(30));
  EXPECT_EQ(queue_.next_event(now_), now_ + milliseconds(10));
  now_ += milliseconds(10);
  EXPECT_THAT(queue_.Expire(now_), ElementsAre(call->id));
  EXPECT_EQ(CodeOf(waiting), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(AnswerTo(patient), nullptr);
  Fail(*call, StatusCode::kCancelled);
  EXPECT_EQ(queue_.totals().failures, 0u) << "a reader without patience makes no outage";
  EXPECT_TRUE(queue_.Next(now_));
}

TEST_F(ReadQueueTest, AnOutageIsTriedAgainThenRefusedThenProbed) {
  const auto question = Ask("ds", {"a"}, milliseconds(60'000));
  for (int i = 0; i < common::kRemoteFailuresToBreak; ++i) {
    const auto call = queue_.Next(now_);
    ASSERT_TRUE(call) << i;
    Fail(*call, StatusCode::kUnavailable);
    EXPECT_FALSE(queue_.Next(now_)) << "tried again without a pause";
    if (i + 1 < common::kRemoteFailuresToBreak) Pause();
  }
  EXPECT_EQ(CodeOf(question), StatusCode::kUnavailable);
  EXPECT_TRUE(queue_.totals().open);
  const auto refused = Ask("ds", {"a"});
  EXPECT_EQ(CodeOf(refused), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(common::Message(AnswerTo(refused)->status)), HasSubstr("why"));
  Pause();
  const auto probe = Ask("ds", {"a"});
  const auto call = queue_.Next(now_);
  ASSERT_TRUE(call);
  const auto behind = Ask("ds", {"b"});
  EXPECT_FALSE(queue_.Next(now_)) << "one call probes";
  Succeed(*call);
  EXPECT_EQ(CodeOf(probe), StatusCode::kOk);
  EXPECT_FALSE(queue_.totals().open);
  const auto after = queue_.Next(now_);
  ASSERT_TRUE(after);
  Succeed(*after);
  EXPECT_NE(AnswerTo(behind), nullptr);
}

TEST_F(ReadQueueTest, CallsThatFailTogetherAreOneFailure) {
  Ask("a", {"k"});
  Ask("b", {"k"});
  Ask("c", {"k"});
  const auto a = queue_.Next(now_);
  const auto b = queue_.Next(now_);
  const auto c = queue_.Next(now_);
  Fail(*a, StatusCode::kUnavailable);
  Fail(*b, StatusCode::kUnavailable);
  Fail(*c, StatusCode::kUnavailable);
  EXPECT_FALSE(queue_.totals().open);
}

TEST_F(ReadQueueTest, ARefusalIsNoOutage) {
  const auto question = Ask("ds", {"a"});
  Fail(*queue_.Next(now_), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(question), StatusCode::kPermissionDenied);
  EXPECT_EQ(queue_.totals().failures, 0u);
}

TEST_F(ReadQueueTest, TooBigTogetherIsAskedAlone) {
  const auto first = Ask("ds", {"a"});
  const auto second = Ask("ds", {"b"});
  Fail(*queue_.Next(now_), StatusCode::kOutOfRange);
  const auto one = queue_.Next(now_);
  const auto two = queue_.Next(now_);
  ASSERT_TRUE(one && two);
  EXPECT_THAT(one->keys, ElementsAre("a"));
  Fail(*one, StatusCode::kOutOfRange);
  Succeed(*two);
  EXPECT_EQ(CodeOf(first), StatusCode::kOutOfRange);
  EXPECT_EQ(AnswerTo(second)->entries[0].value, "vb");
}

TEST_F(ReadQueueTest, Limits) {
  const auto big = Ask("ds", std::vector<std::string>(common::kReaderKeysMax + 1, "k"));
  EXPECT_EQ(CodeOf(big), StatusCode::kOutOfRange);
  for (std::size_t keys = 0; keys < common::kRemoteReadsMax; keys += 10'000) {
    Ask("ds", std::vector<std::string>(10'000, "k"));
  }
  EXPECT_EQ(CodeOf(Ask("ds", {"a"})), StatusCode::kResourceExhausted);
  queue_.Abandon();
  for (std::size_t i = 0; i < answers_.size(); ++i) EXPECT_NE(AnswerTo(i), nullptr);
  EXPECT_EQ(AnswerTo(Ask("ds", {"a"})), nullptr);  // the room is free again
}

TEST_F(ReadQueueTest, AnAnswerThatDoesNotFitIsNotBelieved) {
  const auto question = Ask("ds", {"a"}, milliseconds(60'000));
  queue_.OnAnswer(queue_.Next(now_)->id, {.status = common::OkStatus(), .entries = {}}, now_);
  EXPECT_EQ(AnswerTo(question), nullptr);
  EXPECT_EQ(queue_.totals().failures, 1u);
}

// Every question is answered exactly once, by its deadline, and an answer never tells of a time
// before the question.
TEST_F(ReadQueueTest, Model) {
  const char* given = std::getenv("TRIBUTARY_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE(testing::Message() << "TRIBUTARY_SEED=" << seed);
  std::mt19937_64 random(seed);
  std::vector<ReadQueue::Call> calls;
  std::vector<MonotonicTime> asked, deadlines;
  for (int step = 0; step < 20'000; ++step) {
    now_ += milliseconds(random() % 20);
    for (const std::uint64_t id : queue_.Expire(now_)) static_cast<void>(id);
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (deadlines[i] > now_) continue;
      ASSERT_NE(AnswerTo(i), nullptr) << i;
    }
    if (random() % 2 == 0) {
      const milliseconds timeout(1 + random() % 400);
      asked.push_back(now_);
      deadlines.push_back(now_ + timeout);
      Ask(random() % 2 == 0 ? "a" : "b", {std::to_string(random() % 5)}, timeout);
    }
    while (auto call = queue_.Next(now_)) calls.push_back(*std::move(call));
    if (calls.empty() || random() % 2 == 0) continue;
    std::swap(calls[random() % calls.size()], calls.back());
    const ReadQueue::Call call = std::move(calls.back());
    calls.pop_back();
    const bool outage = step / 2000 % 2 == 1;
    outage ? Fail(call, StatusCode::kUnavailable) : Succeed(call);
  }
  queue_.Abandon();
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    ASSERT_NE(AnswerTo(i), nullptr);
    if (!answers_[i]->status.ok()) continue;
    ASSERT_GE(answers_[i]->as_of, asked[i]) << i;
  }
}

}  // namespace
}  // namespace agent
