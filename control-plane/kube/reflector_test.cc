#include "control-plane/kube/reflector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cp {
namespace {

using testing::HasSubstr;

std::string Line(const std::string& type, const std::string& version) {
  return R"({"type":")" + type + R"(","object":{"kind":"Dataset","metadata":{"name":"a",)" +
         R"("namespace":"n","resourceVersion":")" + version + R"("}}})";
}

TEST(ReflectorTest, ListsPageByPageThenWatches) {
  Reflector reflector("Dataset", "/x/datasets", "a=b");
  EXPECT_EQ(reflector.NextPath(300), "/x/datasets?limit=500&labelSelector=a%3Db");
  const auto first = reflector.OnList(
      R"({"apiVersion":"g/v1","metadata":{"resourceVersion":"7","continue":"t/1"},)"
      R"("items":[{"metadata":{"name":"a"}}]})");
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->empty());
  EXPECT_THAT(reflector.NextPath(300), HasSubstr("&continue=t%2F1"));
  const auto second = reflector.OnList(R"({"apiVersion":"g/v1","metadata":{"resourceVersion":"8"},)"
                                       R"("items":[{"metadata":{"name":"b"}}]})");
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->size(), 1U);
  EXPECT_EQ(second->front().type, KubeEvent::Type::kReplaced);
  ASSERT_EQ(second->front().objects.size(), 2U);
  EXPECT_EQ(second->front().objects[0]["kind"], "Dataset");
  EXPECT_EQ(second->front().objects[0]["apiVersion"], "g/v1");
  EXPECT_FALSE(reflector.needs_list());
  EXPECT_THAT(reflector.NextPath(300), HasSubstr("resourceVersion=8&labelSelector=a%3Db"));
}

TEST(ReflectorTest, AWatchGoesOnFromTheLastEventOrBookmark) {
  Reflector reflector("Dataset", "/x");
  ASSERT_TRUE(reflector.OnList(R"({"metadata":{"resourceVersion":"1"},"items":null})").ok());
  EXPECT_EQ(reflector.OnLine(Line("ADDED", "5"))->front().type, KubeEvent::Type::kChanged);
  EXPECT_THAT(reflector.NextPath(1), HasSubstr("resourceVersion=5"));
  EXPECT_EQ(reflector.OnLine(Line("DELETED", "6"))->front().type, KubeEvent::Type::kDeleted);
  EXPECT_TRUE(reflector.OnLine(Line("BOOKMARK", "90"))->empty());
  EXPECT_THAT(reflector.NextPath(1), HasSubstr("resourceVersion=90"));
  EXPECT_TRUE(reflector.OnLine(Line("NOVEL", "91"))->empty());
  EXPECT_FALSE(reflector.needs_list());
}

TEST(ReflectorTest, GoneMeansToListAfresh) {
  Reflector reflector("Dataset", "/x");
  ASSERT_TRUE(reflector.OnList(R"({"metadata":{"resourceVersion":"1"},"items":[]})").ok());
  const auto gone = reflector.OnLine(R"({"type":"ERROR","object":{"code":410,"message":"old"}})");
  EXPECT_EQ(gone.status().code(), common::StatusCode::kOutOfRange);
  EXPECT_TRUE(reflector.needs_list());
}

TEST(ReflectorTest, WhatIsNotUnderstoodIsNotBelieved) {
  for (const char* body : {"", "{", "[]", "{}", R"({"metadata":{"resourceVersion":"1"}})",
                           R"({"metadata":{"resourceVersion":1},"items":[]})",
                           R"({"metadata":{"resourceVersion":"1"},"items":{}})"}) {
    Reflector reflector("Dataset", "/x");
    EXPECT_FALSE(reflector.OnList(body).ok()) << body;
    EXPECT_TRUE(reflector.needs_list());
  }
  const std::string line = Line("ADDED", "5");
  for (std::size_t cut = 0; cut < line.size(); ++cut) {
    Reflector reflector("Dataset", "/x");
    ASSERT_TRUE(reflector.OnList(R"({"metadata":{"resourceVersion":"1"},"items":[]})").ok());
    EXPECT_FALSE(reflector.OnLine(line.substr(0, cut)).ok());
    EXPECT_TRUE(reflector.needs_list());
  }
}

}  // namespace
}  // namespace cp
