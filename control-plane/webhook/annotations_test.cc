#include "control-plane/webhook/annotations.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace cp {
namespace {

TEST(QuantityTest, ReadsBytesAsKubernetesDoes) {
  const std::vector<std::pair<std::string, std::uint64_t>> good = {
      {"0", 0},           {"500000", 500000}, {"1k", 1000}, {"128Mi", 128ULL << 20},
      {"1G", 1000000000}, {"2Ti", 2ULL << 40}};
  for (const auto& [text, want] : good) {
    const auto bytes = ParseBytesQuantity(text);
    ASSERT_TRUE(bytes.ok()) << text;
    EXPECT_EQ(*bytes, want) << text;
  }
  for (const char* bad : {"", "Mi", "-1", "1 Mi", "1MB", "1mi", "9999999999Pi", "1.5Gi", "1e3"}) {
    EXPECT_FALSE(ParseBytesQuantity(bad).ok()) << bad;
  }
}

TEST(QuantityTest, ChecksCpu) {
  for (const char* good : {"1", "50m", "0.5", "1.25"}) EXPECT_TRUE(CheckCpuQuantity(good).ok());
  for (const char* bad : {"", "m", ".", "1.", ".5", "0.5m", "1Mi", "-1", "1000000000"}) {
    EXPECT_FALSE(CheckCpuQuantity(bad).ok()) << bad;
  }
}

TEST(AnnotationsTest, NamesEveryFault) {
  const nlohmann::json pod = {{"metadata",
                               {{"annotations",
                                 {{"tributary.dev/log-level", "loud"},
                                  {"tributary.dev/wait-for", "x"},
                                  {"other.dev/wait-for", "x"}}}}}};
  const auto wishes = ReadAnnotations(pod);
  ASSERT_FALSE(wishes.ok());
  const std::string text(common::Message(wishes.status()));
  EXPECT_NE(text.find("tributary.dev/log-level"), std::string::npos);
  EXPECT_NE(text.find("\nannotation tributary.dev/wait-for"), std::string::npos);
  EXPECT_EQ(text.find("other.dev"), std::string::npos);
}

}  // namespace
}  // namespace cp
