#include "agent/publish/publish_queue.h"

#include <gtest/gtest.h>

namespace agent {
namespace {

using common::StatusCode;
using std::chrono::milliseconds;
using tributary::v1::PublishRequest;
using tributary::v1::PublishResponse;

constexpr milliseconds kTimeout{1000};

WriteBatch Set(const std::string& key, const std::string& value = "v") {
  return {.writes = {{.dataset = "d", .key = key, .value = value}}};
}

class PublishQueueTest : public ::testing::Test {
 protected:
  // Outcomes come as "<key> <code>" in the order in which they are told.
  void Submit(WriteBatch batch) {
    const std::string key = batch.writes.empty() ? "-" : batch.writes[0].key.substr(0, 8);
    queue_.Submit(
        std::move(batch),
        [this, key](WriteOutcome outcome) {
          told_.push_back(key + " " + absl::StatusCodeToString(outcome.status.code()));
          last_ = std::move(outcome);
        },
        now_);
  }
  std::vector<std::string> Told() { return std::exchange(told_, {}); }
  // All that is to be sent: the keys of each batch, and their sequences.
  std::vector<std::string> Sent() {
    std::vector<std::string> sent;
    while (const auto request = queue_.Next()) {
      ids_.push_back(request->publisher_id());
      for (const auto& batch : request->batches()) {
        sent.push_back(fmt::format("{}:{}", batch.sequence(), batch.writes(0).key()));
      }
    }
    return sent;
  }
  void Answer(std::uint64_t sequence, int code = 0, std::uint64_t revision = 7) {
    PublishResponse response;
    response.set_epoch("000000000abc");
    auto& result = *response.add_results();
    result.set_sequence(sequence);
    result.set_code(code);
    result.set_revision(revision);
    result.set_message("said so");
    EXPECT_TRUE(queue_.OnResponse(response).ok());
  }
  using Lines = std::vector<std::string>;

  common::MonotonicTime now_{std::chrono::hours(1)};
  PublishQueue queue_{"me", kTimeout};
  std::vector<std::string> told_;
  std::vector<std::string> ids_;
  WriteOutcome last_;
};

TEST_F(PublishQueueTest, OutcomesComeInTheOrderOfTheSubmits) {
  queue_.OnStreamOpened();
  Submit(Set("a"));
  Submit(Set("b"));
  EXPECT_EQ(Sent(), (Lines{"1:a", "2:b"}));
  Submit(Set("c"));
  EXPECT_EQ(Sent(), Lines{"3:c"});
  EXPECT_EQ(ids_, (Lines{"me", ""}));
  Answer(2);
  EXPECT_EQ(Told(), Lines{});
  Answer(1);
  EXPECT_EQ(Told(), (Lines{"a OK", "b OK"}));
  EXPECT_EQ(last_.version, (common::Version{0xabc, 7}));
  Answer(3, static_cast<int>(StatusCode::kPermissionDenied));
  EXPECT_EQ(Told(), Lines{"c PERMISSION_DENIED"});
  EXPECT_TRUE(queue_.idle());
}

TEST_F(PublishQueueTest, ALostStreamSendsTheSameSequencesAgain) {
  queue_.OnStreamOpened();
  Submit(Set("a"));
  Submit(Set("b"));
  Sent();
  Answer(1);
  queue_.OnStreamClosed(absl::UnavailableError("gone"));
  EXPECT_EQ(Sent(), Lines{}) << "there is no stream";
  queue_.OnStreamOpened();
  EXPECT_EQ(Sent(), Lines{"2:b"});
  EXPECT_EQ(ids_.back(), "me");
  Answer(1);  // late, of the stream before
  Answer(2);
  EXPECT_EQ(Told(), (Lines{"a OK", "b OK"}));
}

TEST_F(PublishQueueTest, TellsWhichOutcomesItKnows) {
  queue_.OnStreamOpened();
  for (const char* key : {"a", "b", "c"}) Submit(Set(key));
  EXPECT_EQ(queue_.Next()->settled(), 0u);
  Answer(2);
  Submit(Set("d"));
  EXPECT_EQ(queue_.Next()->settled(), 0u) << "1 is not decided";
  Answer(1);
  Submit(Set("e"));
  EXPECT_EQ(queue_.Next()->settled(), 2u);
  for (std::uint64_t sequence = 3; sequence <= 5; ++sequence) Answer(sequence);
  Submit(Set("f"));
  EXPECT_EQ(queue_.Next()->settled(), 5u);
}

TEST_F(PublishQueueTest, OneMessageMayAnswerInAnyOrder) {
  queue_.OnStreamOpened();
  for (const char* key : {"a", "b", "c"}) Submit(Set(key));
  EXPECT_EQ(Sent(), (Lines{"1:a", "2:b", "3:c"}));
  PublishResponse response;
  for (const std::uint64_t sequence : {3u, 9u, 1u, 2u, 2u}) {
    response.add_results()->set_sequence(sequence);
  }
  EXPECT_TRUE(queue_.OnResponse(response).ok());
  EXPECT_EQ(Told(), (Lines{"a OK", "b OK", "c OK"}));
  EXPECT_TRUE(queue_.idle());
}

TEST_F(PublishQueueTest, TheWindowIsBounded) {
  queue_.OnStreamOpened();
  for (std::size_t i = 0; i < common::kPublisherBatchesInFlightMax + 5; ++i) {
    Submit(Set("k" + std::to_string(i)));
  }
  EXPECT_EQ(Sent().size(), common::kPublisherBatchesInFlightMax);
  EXPECT_EQ(queue_.in_flight(), common::kPublisherBatchesInFlightMax);
  Answer(1);
  EXPECT_EQ(Sent().size(), 1u);
}

// Whoever was told that time is up may have gone on: the write must not be sent after that.
TEST_F(PublishQueueTest, TimeIsUp) {
  Submit(Set("never sent"));
  EXPECT_EQ(queue_.next_deadline(), now_ + kTimeout);
  now_ += kTimeout;
  queue_.Expire(now_);
  EXPECT_EQ(Told(), Lines{"never se UNAVAILABLE"});
  EXPECT_NE(common::Message(last_.status).find("is not applied"), std::string::npos);
  queue_.OnStreamOpened();
  EXPECT_EQ(Sent(), Lines{});
  Submit(Set("sent"));
  EXPECT_EQ(Sent(), Lines{"1:sent"});
  now_ += kTimeout;
  queue_.Expire(now_);
  EXPECT_EQ(Told(), Lines{"sent UNAVAILABLE"});
  EXPECT_NE(common::Message(last_.status).find("may have been applied"), std::string::npos);
  queue_.OnStreamClosed(absl::UnavailableError("gone"));
  queue_.OnStreamOpened();
  EXPECT_EQ(Sent(), Lines{});
  Answer(1);
  EXPECT_EQ(Told(), Lines{}) << "once is enough";
  EXPECT_TRUE(queue_.idle());
}

TEST_F(PublishQueueTest, RefusesWhatIsTooBigWithoutSendingIt) {
  queue_.OnStreamOpened();
  Submit({});
  Submit(Set(""));
  Submit(Set(std::string(common::kKeyBytesMax + 1, 'k')));
  Submit(Set("k", std::string(common::kValueBytesMax + 1, 'v')));
  WriteBatch many;
  many.writes.assign(common::kBatchEntriesMax + 1, {.dataset = "d", .key = "many", .value = ""});
  Submit(std::move(many));
  EXPECT_EQ(Told(), (Lines{"- INVALID_ARGUMENT", " INVALID_ARGUMENT", "kkkkkkkk OUT_OF_RANGE",
                           "k OUT_OF_RANGE", "many OUT_OF_RANGE"}));
  EXPECT_EQ(Sent(), Lines{});
}

TEST_F(PublishQueueTest, WaitingBytesAreBounded) {
  const std::string big(common::kValueBytesMax, 'v');
  const std::size_t fits = common::kPublishWaitingBytesMax / (big.size() + 1);
  for (std::size_t i = 0; i <= fits; ++i) Submit(Set("k", big));
  EXPECT_EQ(Told(), Lines{}) << "it waits its turn";
  now_ += kTimeout;
  queue_.Expire(now_);
  EXPECT_EQ(Told().size(), fits + 1);
  EXPECT_NE(common::Message(last_.status).find("wait for the control plane already"),
            std::string::npos);
}

TEST_F(PublishQueueTest, OptionsAndChecksTravel) {
  queue_.OnStreamOpened();
  WriteBatch batch = Set("a");
  batch.writes[0].options = {
      .condition = SetOptions::Condition::kIfAbsent, .get = true, .expires_in_ms = 5};
  batch.writes.push_back(
      {.dataset = "d",
       .key = "b",
       .value = "v",
       .options = {.condition = SetOptions::Condition::kIfPresent, .expires_at_ms = 6}});
  batch.writes.push_back({.dataset = "d", .key = "c", .value = "v", .options = {.keep_ttl = true}});
  batch.writes.push_back({.dataset = "d", .key = "d"});
  batch.checks = {{.dataset = "d", .key = "x", .version = common::Version{0xabc, 3}},
                  {.dataset = "d", .key = "y", .absent_since = {0xabc, 4}}};
  Submit(std::move(batch));
  const auto sent = queue_.Next()->batches(0);
  EXPECT_EQ(sent.writes(0).condition(), tributary::v1::Write::IF_ABSENT);
  EXPECT_TRUE(sent.writes(0).return_old());
  EXPECT_EQ(sent.writes(0).expires_in_ms(), 5);
  EXPECT_EQ(sent.writes(1).condition(), tributary::v1::Write::IF_PRESENT);
  EXPECT_EQ(sent.writes(1).expires_at_ms(), 6);
  EXPECT_TRUE(sent.writes(2).keep_expiry());
  EXPECT_TRUE(sent.writes(3).delete_());
  EXPECT_EQ(sent.checks(0).version(), "000000000abc.3");
  EXPECT_EQ(sent.checks(0).absent_since(), "");
  EXPECT_EQ(sent.checks(1).version(), "");
  EXPECT_EQ(sent.checks(1).absent_since(), "000000000abc.4");

  PublishResponse response;
  auto& result = *response.add_results();
  result.set_sequence(1);
  result.set_skipped("\x0A");
  result.add_old()->set_write(0);
  result.mutable_old(0)->set_value("was");
  EXPECT_TRUE(queue_.OnResponse(response).ok());
  EXPECT_EQ(Told(), Lines{"a OK"});
  EXPECT_FALSE(last_.Skipped(0));
  EXPECT_TRUE(last_.Skipped(1));
  EXPECT_FALSE(last_.Skipped(2));
  EXPECT_TRUE(last_.Skipped(3));
  EXPECT_FALSE(last_.Skipped(64));
  EXPECT_EQ(*last_.Old(0), "was");
  EXPECT_EQ(last_.Old(1), nullptr);
}

TEST_F(PublishQueueTest, AWatchedKeyThatChangedIsTold) {
  queue_.OnStreamOpened();
  Submit(Set("a"));
  Sent();
  Answer(1, static_cast<int>(StatusCode::kAborted));
  EXPECT_EQ(Told(), Lines{"a ABORTED"});
}

TEST_F(PublishQueueTest, ShuttingDownTellsEverybody) {
  queue_.OnStreamOpened();
  Submit(Set("a"));
  Sent();
  Submit(Set("b"));
  queue_.Abandon();
  EXPECT_EQ(Told(), (Lines{"a UNAVAILABLE", "b UNAVAILABLE"}));
}

TEST_F(PublishQueueTest, ACodeThatIsNoneEndsTheStream) {
  queue_.OnStreamOpened();
  Submit(Set("a"));
  Sent();
  PublishResponse response;
  response.add_results()->set_sequence(1);
  response.mutable_results(0)->set_code(17);
  EXPECT_EQ(queue_.OnResponse(response).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace agent
