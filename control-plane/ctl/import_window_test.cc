#include "control-plane/ctl/import_window.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "common/limits.h"
#include "control-plane/ctl/batch_planner.h"

namespace ctl {
namespace {

using common::StatusCode;
using tributary::v1::PublishRequest;
using tributary::v1::PublishResponse;
using Verdict = ImportWindow::Verdict;

tributary::v1::Batch MakeBatch(std::uint64_t sequence) {
  tributary::v1::Batch batch;
  batch.set_sequence(sequence);
  batch.add_writes()->set_key("k");
  return batch;
}

PublishResponse Greeted(std::uint64_t last_sequence) {
  PublishResponse response;
  response.set_last_sequence(last_sequence);
  return response;
}

PublishResponse Decided(std::uint64_t sequence, StatusCode code = StatusCode::kOk) {
  PublishResponse response;
  response.add_results()->set_sequence(sequence);
  response.mutable_results(0)->set_code(static_cast<int>(code));
  return response;
}

TEST(BatchPlannerTest, CutsByEntriesAndBytes) {
  BatchPlanner planner("d", 2, 10);
  EXPECT_FALSE(planner.Add({"a", "1"}));
  EXPECT_FALSE(planner.Add({"b", "2"}));
  auto full = planner.Add({"c", "12345678"});
  ASSERT_TRUE(full);
  EXPECT_EQ(full->sequence(), 1u);
  EXPECT_EQ(full->writes_size(), 2);
  EXPECT_EQ(full->writes(1).dataset(), "d");
  full = planner.Add({"d", "4"});  // 9 + 2 bytes
  ASSERT_TRUE(full);
  EXPECT_EQ(full->writes_size(), 1);
  full = planner.Add({"e", std::string(100, 'x')});
  ASSERT_TRUE(full);
  full = planner.Finish();
  ASSERT_TRUE(full);
  EXPECT_EQ(full->sequence(), 4u);
  EXPECT_EQ(full->writes(0).put().size(), 100u);
  EXPECT_FALSE(planner.Finish());
}

TEST(ImportWindowTest, SendsAfterTheGreetingOnly) {
  ImportWindow window("id");
  EXPECT_FALSE(window.CanAdd());
  EXPECT_EQ(window.Greeting().publisher_id(), "id");
  EXPECT_FALSE(window.Next());
  ASSERT_TRUE(window.OnResponse(Greeted(0)).ok());
  ASSERT_TRUE(window.CanAdd());
  window.Add(MakeBatch(1), false);
  window.Add(MakeBatch(2), true);
  EXPECT_FALSE(window.Next()->forget());
  EXPECT_TRUE(window.Next()->forget());
  EXPECT_FALSE(window.Next());
  ASSERT_TRUE(window.OnResponse(Decided(1)).ok());
  EXPECT_FALSE(window.idle());
  ASSERT_TRUE(window.OnResponse(Decided(2)).ok());
  EXPECT_TRUE(window.idle());
  EXPECT_EQ(window.records_done(), 2u);
}

TEST(ImportWindowTest, IsBounded) {
  ImportWindow window("id");
  window.Greeting();
  ASSERT_TRUE(window.OnResponse(Greeted(0)).ok());
  for (std::uint64_t i = 1; i <= common::kImportBatchesInFlightMax; ++i) {
    ASSERT_TRUE(window.CanAdd());
    window.Add(MakeBatch(i), false);
  }
  EXPECT_FALSE(window.CanAdd());
}

TEST(ImportWindowTest, ALostStreamSendsTheUndecidedAgain) {
  ImportWindow window("id");
  window.Greeting();
  ASSERT_TRUE(window.OnResponse(Greeted(0)).ok());
  for (std::uint64_t i = 1; i <= 3; ++i) window.Add(MakeBatch(i), false);
  while (window.Next()) continue;
  ASSERT_TRUE(window.OnResponse(Decided(1)).ok());
  EXPECT_FALSE(window.Greeting().forget());
  EXPECT_FALSE(window.Next());
  ASSERT_TRUE(window.OnResponse(Greeted(2)).ok());
  EXPECT_EQ(window.Next()->batches(0).sequence(), 2u);
  EXPECT_EQ(window.Next()->batches(0).sequence(), 3u);
}

TEST(ImportWindowTest, ResumesButAsksForTheLastOutcomesAgain) {
  ImportWindow window("id");
  window.Greeting();
  ASSERT_TRUE(window.OnResponse(Greeted(100)).ok());
  std::uint64_t first_sent = 0;
  for (std::uint64_t i = 1; i <= 101; ++i) {
    ASSERT_TRUE(window.CanAdd());
    window.Add(MakeBatch(i), i == 101);
    while (auto request = window.Next()) {
      const std::uint64_t sequence = request->batches(0).sequence();
      if (first_sent == 0) first_sent = sequence;
      ASSERT_TRUE(window.OnResponse(Decided(sequence)).ok());
    }
  }
  EXPECT_EQ(first_sent, 100 - common::kImportBatchesInFlightMax + 1);
  EXPECT_EQ(window.batches_done(), 101u);
  EXPECT_EQ(window.batches_skipped(), 100u);
}

TEST(ImportWindowTest, ARefusalOfAnEarlierRunStartsOver) {
  ImportWindow window("id");
  window.Greeting();
  ASSERT_TRUE(window.OnResponse(Greeted(2)).ok());
  window.Add(MakeBatch(1), false);
  while (window.Next()) continue;
  EXPECT_EQ(*window.OnResponse(Decided(1, StatusCode::kPermissionDenied)), Verdict::kStartOver);
  window.StartOver();
  EXPECT_FALSE(window.CanAdd());
  EXPECT_TRUE(window.Greeting().forget());
  EXPECT_FALSE(window.Greeting().forget());
}

TEST(ImportWindowTest, ShortagesAreTriedAgainInOrder) {
  ImportWindow window("id");
  window.Greeting();
  ASSERT_TRUE(window.OnResponse(Greeted(0)).ok());
  for (std::uint64_t i = 1; i <= 3; ++i) window.Add(MakeBatch(i), false);
  while (window.Next()) continue;
  EXPECT_EQ(*window.OnResponse(Decided(1, StatusCode::kResourceExhausted)), Verdict::kRetry);
  EXPECT_TRUE(window.Greeting().forget());  // or the later ones would have used up its sequence
  ASSERT_TRUE(window.OnResponse(Greeted(0)).ok());
  for (std::uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(window.Next()->batches(0).sequence(), i);
}

TEST(ImportWindowTest, RefusalsAndNonsenseAreErrors) {
  ImportWindow window("id");
  window.Greeting();
  ASSERT_TRUE(window.OnResponse(Greeted(0)).ok());
  EXPECT_EQ(window.OnResponse(Decided(1)).status().code(), StatusCode::kInternal);
  window.Add(MakeBatch(1), false);
  while (window.Next()) continue;
  EXPECT_EQ(window.OnResponse(Decided(2)).status().code(), StatusCode::kInternal);
  EXPECT_EQ(window.OnResponse(Decided(1, StatusCode::kPermissionDenied)).status().code(),
            StatusCode::kPermissionDenied);
}

// Goal: whatever streams are lost, shortages met and runs begun again, every batch is applied, and
// none after a later one (the last write of a key wins).
TEST(ImportWindowTest, EveryBatchIsAppliedInOrder) {
  const char* given = std::getenv("TRIBUTARY_SEED");
  const auto seed = given ? std::stoull(given) : std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    // The control plane: outcomes by sequence, the last 64 remembered; `content` as by revision.
    std::uint64_t last = 0;
    std::vector<std::uint64_t> applied;
    std::map<std::uint64_t, bool> remembered;
    constexpr std::uint64_t kBatches = 300;
    bool done = false;
    while (!done) {  // runs of the command
      ImportWindow window("id");
      std::uint64_t next = 1;
      while (!done && random() % 8 != 0) {  // streams
        const PublishRequest greeting = window.Greeting();
        if (greeting.forget()) last = 0, remembered.clear();
        ASSERT_EQ(*window.OnResponse(Greeted(last)), Verdict::kGoOn);
        Verdict verdict = Verdict::kGoOn;
        while (verdict == Verdict::kGoOn && random() % 200 != 0) {
          while (window.CanAdd() && next <= kBatches && random() % 4 != 0) {
            window.Add(MakeBatch(next), next == kBatches);
            ++next;
          }
          const auto request = window.Next();
          if (!request) {
            if (next > kBatches && window.idle()) break;
            continue;
          }
          const std::uint64_t sequence = request->batches(0).sequence();
          StatusCode code = StatusCode::kOk;
          if (sequence <= last) {
            code = remembered.contains(sequence) ? StatusCode::kOk : StatusCode::kOutOfRange;
          } else if (random() % 400 == 0) {
            code = StatusCode::kResourceExhausted;
          } else {
            applied.push_back(sequence);
            remembered[sequence] = true;
            last = sequence;
            while (remembered.size() > common::kImportBatchesInFlightMax) {
              remembered.erase(remembered.begin());
            }
          }
          if (request->forget() && code == StatusCode::kOk) last = 0, remembered.clear();
          if (random() % 100 == 0) break;  // the answer is lost
          const auto answer = window.OnResponse(Decided(sequence, code));
          ASSERT_TRUE(answer.ok()) << answer.status();
          verdict = *answer;
        }
        if (verdict == Verdict::kStartOver) {
          window.StartOver();
          next = 1;
        }
        done = next > kBatches && window.idle();
      }
    }
    // From the last begin on, each batch is there, in order.
    std::uint64_t want = kBatches;
    for (auto it = applied.rbegin(); it != applied.rend() && want > 0; ++it) {
      ASSERT_LE(*it, kBatches);
      if (*it == want)
        --want;
      else
        ASSERT_TRUE(*it > want) << "batch " << *it << " after " << want;
    }
    EXPECT_EQ(want, 0u);
  }
}

}  // namespace
}  // namespace ctl
