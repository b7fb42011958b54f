#include "control-plane/injector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace cp {
namespace {

using testing::ElementsAre;

TEST(ServerMinorTest, IsReadFromWhatVendorsWrite) {
  struct Case {
    const char* major;
    const char* minor;
    std::uint64_t want;
  };
  for (const Case& c : {Case{"1", "20", 20}, Case{"1", "28+", 28}, Case{"1", "29", 29},
                        Case{"2", "0", std::numeric_limits<std::uint64_t>::max()}}) {
    EXPECT_EQ(*ServerMinor({{"major", c.major}, {"minor", c.minor}}), c.want) << c.minor;
  }
  for (const nlohmann::json& odd :
       {nlohmann::json(), nlohmann::json({{"major", "1"}}), nlohmann::json::array({1}),
        nlohmann::json({{"major", 1}, {"minor", 29}}),
        nlohmann::json({{"major", "1"}, {"minor", "+"}})}) {
    EXPECT_FALSE(ServerMinor(odd).ok()) << odd;
  }
}

TEST(CertificateNamesTest, AreTheHostsThatAgentsDial) {
  EXPECT_THAT(
      CertificateNames("tributary.x.svc:1,10.0.0.1:2,[fd00::1]:3,tributary.x.svc:4"),
      ElementsAre("tributary.x.svc", "tributary.x.svc.cluster.local", "10.0.0.1", "fd00::1"));
}

}  // namespace
}  // namespace cp
