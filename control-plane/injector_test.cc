#include "control-plane/injector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cp {
namespace {

using testing::ElementsAre;

TEST(HasNativeSidecarsTest, FollowsTheServersVersion) {
  struct Case {
    const char* major;
    const char* minor;
    bool want;
  };
  for (const Case& c : {Case{"1", "20", false}, Case{"1", "28+", false}, Case{"1", "29", true},
                        Case{"1", "33+", true}, Case{"2", "0", true}}) {
    EXPECT_EQ(*HasNativeSidecars({{"major", c.major}, {"minor", c.minor}}), c.want) << c.minor;
  }
  for (const nlohmann::json& odd :
       {nlohmann::json(), nlohmann::json({{"major", "1"}}), nlohmann::json::array({1}),
        nlohmann::json({{"major", 1}, {"minor", 29}}),
        nlohmann::json({{"major", "1"}, {"minor", "+"}})}) {
    EXPECT_FALSE(HasNativeSidecars(odd).ok()) << odd;
  }
}

TEST(CertificateNamesTest, AreTheHostsThatAgentsDial) {
  EXPECT_THAT(
      CertificateNames("tributary.x.svc:1,10.0.0.1:2,[fd00::1]:3,tributary.x.svc:4"),
      ElementsAre("tributary.x.svc", "tributary.x.svc.cluster.local", "10.0.0.1", "fd00::1"));
}

}  // namespace
}  // namespace cp
