#include "control-plane/webhook/pki.h"

#include <gtest/gtest.h>

#include <string>

#include "control-plane/webhook/x509.h"

namespace cp {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::int64_t kDay = 86'400;

PkiOptions Options() {
  PkiOptions options;
  options.webhook_names = {"tributary-injector.tributary-system.svc", "127.0.0.1"};
  options.server_names = {"tributary.tributary-system.svc", "fd00::1"};
  return options;
}

Pki Renewed(const Pki& pki, std::int64_t now) {
  const auto renewed = RenewPki(pki, Options(), now);
  EXPECT_TRUE(renewed.ok()) << renewed.status();
  return renewed.value_or(Pki{});
}

bool BundleHasSigner(const std::string& bundle, const std::string& leaf) {
  const CertificatePtr certificate = ParseCertificate(leaf);
  const std::string end = "-----END CERTIFICATE-----\n";
  for (std::size_t at = 0; at < bundle.size();) {
    const std::size_t next = bundle.find(end, at) + end.size();
    const CertificatePtr authority = ParseCertificate(bundle.substr(at, next - at));
    if (authority && SignedBy(*certificate, *authority)) return true;
    at = next;
  }
  return false;
}

TEST(PkiTest, MakesWhatIsMissingAndThenLeavesItAlone) {
  const Pki made = Renewed({}, kNow);
  EXPECT_TRUE(BundleHasSigner(made.Bundle(), made.webhook.certificate));
  EXPECT_TRUE(BundleHasSigner(made.Bundle(), made.server.certificate));
  EXPECT_TRUE(Names(*ParseCertificate(made.server.certificate), Options().server_names));
  EXPECT_EQ(*ExpiryOf(made.webhook.certificate), kNow + 90 * kDay);
  EXPECT_EQ(Renewed(made, kNow + 59 * kDay), made);
  EXPECT_EQ(PkiFromFiles(PkiToFiles(made)), made);
}

TEST(PkiTest, RenewsLeavesInTheLastThirdOfTheirLife) {
  const Pki made = Renewed({}, kNow);
  const Pki later = Renewed(made, kNow + 61 * kDay);
  EXPECT_EQ(later.authority, made.authority);
  EXPECT_NE(later.webhook, made.webhook);
  EXPECT_EQ(later.Bundle(), made.Bundle());
}

// Goal: at any moment, a bundle that is one step old or one step new holds the signer of what is
// served. Ten years, a day at a time.
TEST(PkiTest, RotatesTheAuthorityWithOverlap) {
  Pki before = Renewed({}, kNow);
  int authorities = 0;
  for (std::int64_t day = 1; day < 1500; day += 1 + day % 9) {
    const Pki now = Renewed(before, kNow + day * kDay);
    if (now.authority != before.authority) ++authorities;
    for (const std::string& leaf : {now.webhook.certificate, now.server.certificate}) {
      ASSERT_TRUE(BundleHasSigner(now.Bundle(), leaf)) << day;
      ASSERT_TRUE(BundleHasSigner(before.Bundle(), leaf)) << day;
      ASSERT_GT(*ExpiryOf(leaf), kNow + day * kDay);
    }
    ASSERT_TRUE(BundleHasSigner(now.Bundle(), before.webhook.certificate)) << day;
    before = now;
  }
  EXPECT_GE(authorities, 2);
}

TEST(PkiTest, OtherNamesOrBrokenPartsAreMadeAnew) {
  const Pki made = Renewed({}, kNow);
  PkiOptions options = Options();
  options.webhook_names = {"other"};
  EXPECT_NE(RenewPki(made, options, kNow)->webhook, made.webhook);
  Pki broken = made;
  broken.webhook.key = made.server.key;
  EXPECT_NE(Renewed(broken, kNow).webhook, broken.webhook);
  broken = made;
  broken.authority.key = "lost";
  const Pki mended = Renewed(broken, kNow);
  EXPECT_TRUE(BundleHasSigner(mended.Bundle(), made.webhook.certificate)) << "still trusted";
  EXPECT_TRUE(BundleHasSigner(mended.Bundle(), mended.webhook.certificate));
  options.webhook_names = {"not a\nname,IP:x"};
  EXPECT_FALSE(RenewPki(made, options, kNow).ok());
  EXPECT_FALSE(ExpiryOf("-----BEGIN CERTIFICATE-----").ok());
}

}  // namespace
}  // namespace cp
