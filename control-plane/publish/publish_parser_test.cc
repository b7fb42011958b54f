#include "control-plane/publish/publish_parser.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/limits.h"

namespace cp {
namespace {

using testing::HasSubstr;
using tributary::v1::PublishRequest;

PublishRequest Request(const std::string& text) {
  PublishRequest request;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &request));
  return request;
}

TEST(PublishParserTest, TakesBatches) {
  PublishParser parser;
  auto job = parser.Take(Request(R"(publisher_id: "p" batches { sequence: 3
      writes { dataset: "d" key: "k" put: "v" content_type: "text/plain" }
      writes { dataset: "e" key: "l" delete: true } writes { dataset: "d" key: "" put: "" } })"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->publisher_id, "p");
  ASSERT_EQ(job->batches.size(), 1u);
  EXPECT_EQ(job->batches[0].sequence, 3u);
  ASSERT_EQ(job->batches[0].writes.size(), 3u);
  EXPECT_EQ(job->batches[0].writes[0].value, "v");
  EXPECT_EQ(job->batches[0].writes[0].content_type, "text/plain");
  EXPECT_EQ(job->batches[0].writes[1].value, std::nullopt);
  EXPECT_EQ(job->batches[0].writes[2].value, "");
  job = parser.Take(Request(R"(forget: true publisher_id: "p" batches { sequence: 4 })"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(job->forget);
  EXPECT_EQ(job->publisher_id, "p");
}

TEST(PublishParserTest, TakesOptionsAndChecks) {
  PublishParser parser;
  const auto job = parser.Take(Request(R"(publisher_id: "p" batches { sequence: 1
      writes { dataset: "d" key: "k" put: "v" expires_at_ms: 7 condition: IF_ABSENT }
      writes { dataset: "d" key: "k" put: "v" expires_in_ms: 8 condition: IF_PRESENT }
      writes { dataset: "d" key: "k" put: "v" keep_expiry: true return_old: true }
      checks { dataset: "d" key: "k" version: "000000000abc.5" }
      checks { dataset: "d" key: "l" }
      checks { dataset: "d" key: "m" absent_since: "000000000abc.6" } })"));
  ASSERT_TRUE(job.ok()) << job.status();
  const Batch& batch = job->batches.at(0);
  EXPECT_EQ(batch.writes[0].expiry.at_ms, 7);
  EXPECT_EQ(batch.writes[0].condition, Condition::kIfAbsent);
  EXPECT_EQ(batch.writes[1].expiry.in_ms, 8);
  EXPECT_EQ(batch.writes[1].condition, Condition::kIfPresent);
  EXPECT_TRUE(batch.writes[2].expiry.keep);
  EXPECT_TRUE(batch.writes[2].return_old);
  ASSERT_EQ(batch.checks.size(), 3u);
  EXPECT_EQ(batch.checks[0].version, (common::Version{0xabc, 5}));
  EXPECT_EQ(batch.checks[1].version, std::nullopt);
  EXPECT_EQ(batch.checks[1].absent_since, std::nullopt) << "as older agents say it";
  EXPECT_EQ(batch.checks[2].version, std::nullopt);
  EXPECT_EQ(batch.checks[2].absent_since, (common::Version{0xabc, 6}));
}

TEST(PublishParserTest, NamesWhatIsMalformed) {
  struct Case {
    std::string first, second, want;
  };
  const std::string hello = R"(publisher_id: "p")";
  const std::string one = R"(publisher_id: "p" batches { sequence: 1 })";
  std::string many;
  for (std::size_t i = 1; i <= common::kPublisherBatchesInFlightMax + 1; ++i) {
    many += fmt::format("batches {{ sequence: {} }} ", i);
  }
  std::string curious = "batches { sequence: 1 ";
  for (std::size_t i = 0; i <= kMessageOldValuesMax; ++i) {
    curious += R"(writes { put: "" dataset: "d" key: "k" return_old: true } )";
  }
  curious += "}";
  for (const Case& c : {
           Case{hello, curious, "asks for more than 64 old values"},
           Case{"", "", "publisher_id of the first message has 0 bytes"},
           Case{"publisher_id: \"" + std::string(65, 'x') + "\"", "", "has 65 bytes, 1 to 64"},
           Case{hello, R"(publisher_id: "q")", "publisher_id changed"},
           Case{hello, "batches { sequence: 0 }", "sequence 0 follows 0"},
           Case{one, "batches { sequence: 1 }", "sequence 1 follows 1"},
           Case{hello, "batches { sequence: 2 } batches { sequence: 1 }", "sequence 1 follows 2"},
           Case{hello, R"(batches { sequence: 1 writes { put: "" dataset: "d" condition: 9 } })",
                "condition 9"},
           Case{hello, R"(batches { sequence: 1 checks { dataset: "d" version: "5" } })",
                "has version \"5\", which is no version"},
           Case{hello, R"(batches { sequence: 1 checks { dataset: "d" absent_since: "c1.a.5" } })",
                "has absent_since \"c1.a.5\", which is no version"},
           Case{hello, R"(batches { sequence: 1 checks {
                dataset: "d" version: "000000000abc.5" absent_since: "000000000abc.5" } })",
                "has a version and absent_since"},
           Case{hello, R"(batches { sequence: 1 writes { dataset: "d" key: "k" } })",
                "neither puts nor deletes"},
           Case{hello, R"(batches { sequence: 1 writes { dataset: "d" key: "k" delete: false } })",
                "delete: false"},
           Case{hello, many, "has 1025 batches, at most 1024"},
       }) {
    SCOPED_TRACE(c.want);
    PublishParser parser;
    auto job = parser.Take(Request(c.first));
    if (!c.second.empty()) {
      ASSERT_TRUE(job.ok()) << job.status();
      job = parser.Take(Request(c.second));
    }
    ASSERT_FALSE(job.ok());
    EXPECT_EQ(job.status().code(), common::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(common::Message(job.status())), HasSubstr(c.want));
  }
}

TEST(PublishParserTest, ResultsCarryRevisionOrReason) {
  tributary::v1::PublishResponse response;
  AppendResult(7, {.status = common::OkStatus(), .revision = 9, .deleted = 2}, response);
  AppendResult(8, {.status = common::Error(common::StatusCode::kNotFound, "no dataset x")},
               response);
  EXPECT_EQ(response.results(0).sequence(), 7u);
  EXPECT_EQ(response.results(0).revision(), 9u);
  EXPECT_EQ(response.results(0).deleted(), 2u);
  EXPECT_EQ(response.results(0).code(), 0);
  EXPECT_EQ(response.results(1).sequence(), 8u);
  EXPECT_EQ(response.results(1).code(), 5);
  EXPECT_EQ(response.results(1).message(), "no dataset x");
  EXPECT_EQ(response.results(1).revision(), 0u);
}

}  // namespace
}  // namespace cp
