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
  for (const Case& c : {
           Case{"", "", "publisher_id of the first message has 0 bytes"},
           Case{"publisher_id: \"" + std::string(65, 'x') + "\"", "", "has 65 bytes, 1 to 64"},
           Case{hello, R"(publisher_id: "q")", "publisher_id changed"},
           Case{hello, "batches { sequence: 0 }", "sequence 0 follows 0"},
           Case{one, "batches { sequence: 1 }", "sequence 1 follows 1"},
           Case{hello, "batches { sequence: 2 } batches { sequence: 1 }", "sequence 1 follows 2"},
           Case{hello, R"(batches { sequence: 1 writes { dataset: "d" key: "k" } })",
                "neither puts nor deletes"},
           Case{hello, R"(batches { sequence: 1 writes { dataset: "d" key: "k" delete: false } })",
                "delete: false"},
           Case{hello, many, "has 65 batches, at most 64"},
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
