#include "common/rpc/identity.h"

#include <grpc/grpc_security_constants.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace common {
namespace {

TEST(IdentityTest, SpiffeTable) {
  struct Case {
    const char* uri;
    const char* want;  // null: none
  };
  for (const Case& c : {
           Case{"spiffe://cluster.local/ns/shop/sa/checkout", "checkout.shop"},
           Case{"spiffe://x/ns/n/sa/a.b", "a.b.n"},
           Case{"spiffe://cluster.local/ns/shop/sa/checkout/", nullptr},
           Case{"spiffe://cluster.local/ns/shop/sa/checkout/x", nullptr},
           Case{"spiffe://cluster.local/ns/shop/sa/", nullptr},
           Case{"spiffe://cluster.local/ns//sa/checkout", nullptr},
           Case{"spiffe://cluster.local/ns/a.b/sa/checkout", nullptr},
           Case{"spiffe:///ns/shop/sa/checkout", nullptr},
           Case{"spiffe://cluster.local/sa/checkout/ns/shop", nullptr},
           Case{"spiffe://cluster.local/x/ns/shop/sa/checkout", nullptr},
           Case{"spiffe://cluster.local/ns/Shop/sa/checkout", nullptr},
           Case{"spiffe://cluster.local/ns/shop/sa/check%2Fout", nullptr},
           Case{"spiffe://cluster.local/ns/shop", nullptr},
           Case{"spiffe://cluster.local", nullptr},
           Case{"https://cluster.local/ns/shop/sa/checkout", nullptr},
           Case{"", nullptr},
       }) {
    SCOPED_TRACE(c.uri);
    const auto service = ServiceOfSpiffe(c.uri);
    EXPECT_EQ(service.has_value(), c.want != nullptr);
    EXPECT_EQ(service.value_or(""), c.want == nullptr ? "" : c.want);
  }
}

struct Iterator : grpc::AuthPropertyIterator {};

class FakeContext final : public grpc::AuthContext {
 public:
  using Properties = std::multimap<std::string, std::string>;
  FakeContext() = default;
  FakeContext(std::initializer_list<Properties::value_type> properties) : properties_(properties) {}
  bool IsPeerAuthenticated() const override { return true; }
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  std::vector<grpc::string_ref> FindPropertyValues(const std::string& name) const override {
    std::vector<grpc::string_ref> values;
    const auto [first, last] = properties_.equal_range(name);
    for (auto at = first; at != last; ++at) values.emplace_back(at->second);
    return values;
  }
  grpc::AuthPropertyIterator begin() const override { return Iterator(); }
  grpc::AuthPropertyIterator end() const override { return Iterator(); }
  void AddProperty(const std::string&, const grpc::string_ref&) override {}
  bool SetPeerIdentityPropertyName(const std::string&) override { return false; }

 private:
  const Properties properties_;
};

TEST(IdentityTest, SpiffeThenTheFirstDnsNameThatIsAService) {
  const std::string spiffe = GRPC_PEER_SPIFFE_ID_PROPERTY_NAME;
  const std::string dns = GRPC_PEER_DNS_PROPERTY_NAME;
  struct Case {
    FakeContext context;
    const char* want;
  };
  for (const Case& c : {Case{FakeContext{}, ""},
                        Case{{{dns, "*.shop"}, {dns, "b.shop"}, {dns, "c.shop"}}, "b.shop"},
                        Case{{{spiffe, "spiffe://d/ns/n/sa/a"}, {dns, "b.shop"}}, "a.n"},
                        Case{{{spiffe, "spiffe://d/other"}, {dns, "b.shop"}}, "b.shop"},
                        Case{{{"x509_common_name", "b.shop"}}, ""}}) {
    EXPECT_EQ(PeerIdentity(c.context), c.want);
  }
}

}  // namespace
}  // namespace common
