// Packed responses: what was missed, deflated.
#include <gtest/gtest.h>

#include "agent/xds/sync_fixture.h"
#include "common/packed.h"

namespace agent {
namespace {

class SyncPackedTest : public SyncFixture {
 protected:
  // 500 entries behind LoadPrices, packed.
  static std::string Packed() {
    ResponseBuilder response = Entries("n1");
    for (int i = 0; i < 500; ++i) response.Entry("prices", fmt::format("k{}", i), At(6), "v");
    response.Complete(kPrices, At(6));
    const std::optional<std::string> packed = common::Pack(*response.Bytes());
    CHECK(packed.has_value());
    return *packed;
  }
};

TEST_F(SyncPackedTest, IsReadAsIfItWerePlain) {
  LoadPrices();
  core_->OnResponse(std::make_shared<const std::string>(Packed()));
  EXPECT_EQ(EntryAnswer(), "ACK n1");
  EXPECT_EQ(Get("prices", "a"), "1");
  EXPECT_EQ(Get("prices", "k7"), "v");
}

TEST_F(SyncPackedTest, AFaultyOneEndsTheStreamAndTouchesNothing) {
  LoadPrices();
  std::string packed = Packed();
  packed.back() = static_cast<char>(packed.back() ^ 1);
  core_->OnResponse(std::make_shared<const std::string>(packed));
  ASSERT_TRUE(server_.closed.has_value());
  EXPECT_EQ(EntryAnswer(), "");
  EXPECT_EQ(Get("prices", "a"), "1");
  EXPECT_EQ(Get("prices", "k7"), "<none>");
}

}  // namespace
}  // namespace agent
