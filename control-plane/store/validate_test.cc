#include "control-plane/store/validate.h"

#include <gtest/gtest.h>

#include "common/limits.h"
#include "control-plane/store/store_testing.h"

namespace cp {
namespace {

using common::StatusCode;
using testing::Del;
using testing::MakeBatch;
using testing::Put;

Catalog TestCatalog() {
  Catalog catalog;
  catalog.Apply(testing::DeclareDataset("orders.shop", "checkout", {"billing", "*.web"}, 10));
  catalog.Apply(testing::DeclareDataset("prices", "checkout"));
  catalog.Apply(testing::DeclareDataset("stock", "warehouse"));
  return catalog;
}

std::string Bytes(std::size_t count) { return std::string(count, 'x'); }

struct Case {
  const char* what;
  Batch batch;
  StatusCode want;
  const char* named = "";  // must be in the message
};

Batch With(Expiry expiry, Condition condition = Condition::kAlways, bool deletes = false) {
  Batch batch = MakeBatch("p", 1, {deletes ? Del("prices", "k") : Put("prices", "k", "v")});
  batch.writes[0].expiry = expiry;
  batch.writes[0].condition = condition;
  return batch;
}
Batch Checking(std::vector<Check> checks) {
  Batch batch = MakeBatch("p", 1, {Put("prices", "k", "v")});
  batch.checks = std::move(checks);
  return batch;
}

Batch Returning(std::size_t old_values) {
  Write write = Put("prices", "k", "v");
  write.return_old = true;
  return MakeBatch("p", 1, std::vector<Write>(old_values, write));
}

std::vector<Case> Accepted() {
  return {
      {"one put", MakeBatch("p", 1, {Put("orders.shop", "k", "v")}), StatusCode::kOk},
      {"an empty value", MakeBatch("p", 1, {Put("orders.shop", "k", "")}), StatusCode::kOk},
      {"a delete", MakeBatch("p", 1, {Del("orders.shop", "k")}), StatusCode::kOk},
      {"datasets of one owner",
       MakeBatch("p", 1, {Put("orders.shop", "k", ""), Put("prices", "k", ""), Del("prices", "j")}),
       StatusCode::kOk},
      {"the longest key", MakeBatch("p", 1, {Put("prices", Bytes(400), "v")}), StatusCode::kOk},
      {"any byte in a key", MakeBatch("p", 1, {Put("prices", std::string("\0\xff/*", 4), "")}),
       StatusCode::kOk},
      {"the largest value", MakeBatch("p", 1, {Put("prices", "k", Bytes(1024 * 1024))}),
       StatusCode::kOk},
      {"the dataset's largest value", MakeBatch("p", 1, {Put("orders.shop", "k", Bytes(10))}),
       StatusCode::kOk},
      {"an expiry at the last moment", With({.at_ms = kExpiryMsMax}), StatusCode::kOk},
      {"the longest expiry", With({.in_ms = kExpiryMsMax}), StatusCode::kOk},
      {"a kept expiry and a condition", With({.keep = true}, Condition::kIfPresent),
       StatusCode::kOk},
      {"as many old values as there may be", Returning(kBatchOldValuesMax), StatusCode::kOk},
      {"a check of an own key", Checking({{.dataset = "orders.shop", .key = "k"}}),
       StatusCode::kOk},
      {"the longest publisher id", MakeBatch(Bytes(64), 1, {Del("prices", "k")}), StatusCode::kOk},
  };
}

std::vector<Case> Refused() {
  std::vector<Case> cases = {
      {"no publisher", MakeBatch("", 1, {Del("prices", "k")}), StatusCode::kInvalidArgument,
       "publisher id"},
      {"long publisher", MakeBatch(Bytes(65), 1, {Del("prices", "k")}),
       StatusCode::kInvalidArgument, "publisher id"},
      {"sequence 0", MakeBatch("p", 0, {Del("prices", "k")}), StatusCode::kInvalidArgument,
       "sequence"},
      {"two expiries", With({.at_ms = 1, .in_ms = 1}), StatusCode::kInvalidArgument,
       "more than one expiry"},
      {"kept and new expiry", With({.in_ms = 1, .keep = true}), StatusCode::kInvalidArgument,
       "more than one expiry"},
      {"a negative expiry", With({.in_ms = -1}), StatusCode::kInvalidArgument, "positive"},
      {"an expiry beyond time", With({.at_ms = kExpiryMsMax + 1}), StatusCode::kInvalidArgument,
       "10000"},
      {"a delete that expires", With({.in_ms = 1}, Condition::kAlways, true),
       StatusCode::kInvalidArgument, "neither expiry"},
      {"a delete on condition", With({}, Condition::kIfPresent, true), StatusCode::kInvalidArgument,
       "nor condition"},
      {"a check of another's dataset", Checking({{.dataset = "stock", .key = "k"}}),
       StatusCode::kPermissionDenied, "stock"},
      {"a check of no dataset", Checking({{.dataset = "nothing", .key = "k"}}),
       StatusCode::kNotFound, "nothing"},
      {"a check of an empty key", Checking({{.dataset = "prices", .key = ""}}),
       StatusCode::kInvalidArgument, ""},
      {"too many checks",
       Checking(std::vector<Check>(kBatchChecksMax + 1, Check{.dataset = "prices", .key = "k"})),
       StatusCode::kOutOfRange, "watches"},
      {"too many old values", Returning(kBatchOldValuesMax + 1), StatusCode::kOutOfRange,
       "old value"},
      {"no writes", MakeBatch("p", 1, {}), StatusCode::kInvalidArgument, "no writes"},
      {"bad name", MakeBatch("p", 1, {Put("Orders", "k", "v")}), StatusCode::kInvalidArgument,
       "Orders"},
      {"no dataset", MakeBatch("p", 1, {Put("nope", "k", "v")}), StatusCode::kNotFound, "nope"},
      {"not the owner", MakeBatch("p", 1, {Put("stock", "k", "v")}), StatusCode::kPermissionDenied,
       "warehouse"},
      {"not the owner of the second",
       MakeBatch("p", 1, {Put("prices", "k", "v"), Del("stock", "k")}),
       StatusCode::kPermissionDenied, "stock"},
      {"empty key", MakeBatch("p", 1, {Put("prices", "", "v")}), StatusCode::kInvalidArgument,
       "prices"},
      {"long key", MakeBatch("p", 1, {Put("prices", Bytes(401), "v")}), StatusCode::kOutOfRange,
       "401"},
      {"long key to delete", MakeBatch("p", 1, {Del("prices", Bytes(401))}),
       StatusCode::kOutOfRange, "401"},
      {"value over the dataset's bound", MakeBatch("p", 1, {Put("orders.shop", "k", Bytes(11))}),
       StatusCode::kOutOfRange, "orders.shop/k"},
      {"a bad write behind good ones",
       MakeBatch("p", 1, {Put("prices", "a", "v"), Put("prices", "", "v")}),
       StatusCode::kInvalidArgument, "prices"},
  };
  Case type{"long content type", MakeBatch("p", 1, {Put("prices", "k", "v")}),
            StatusCode::kOutOfRange, "content type"};
  type.batch.writes[0].content_type = Bytes(129);
  cases.push_back(type);
  type.what = "content type not UTF-8";
  type.want = StatusCode::kInvalidArgument;
  type.batch.writes[0].content_type = "\xff";
  cases.push_back(type);
  return cases;
}

TEST(ValidateTest, NamesTheFirstFault) {
  const Catalog catalog = TestCatalog();
  std::vector<Case> cases = Accepted();
  for (Case& refused : Refused()) cases.push_back(std::move(refused));
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const common::Status status = ValidateBatch(catalog, "checkout", c.batch);
    EXPECT_EQ(status.code(), c.want) << status;
    EXPECT_NE(status.ToString().find(c.named), std::string::npos) << status;
  }
}

TEST(ValidateTest, BoundsTheBatch) {
  const Catalog catalog = TestCatalog();
  Batch many = MakeBatch("p", 1, std::vector<Write>(65'536, Del("prices", "k")));
  EXPECT_TRUE(ValidateBatch(catalog, "checkout", many).ok());
  many.writes.push_back(Del("prices", "k"));
  EXPECT_EQ(ValidateBatch(catalog, "checkout", many).code(), StatusCode::kOutOfRange);

  Batch big = MakeBatch("p", 1, std::vector<Write>(16, Put("prices", "k", Bytes(1024 * 1024 - 1))));
  EXPECT_EQ(BatchBytes(big), common::kBatchBytesMax);
  EXPECT_TRUE(ValidateBatch(catalog, "checkout", big).ok());
  big.writes.push_back(Del("prices", "k"));
  EXPECT_EQ(ValidateBatch(catalog, "checkout", big).code(), StatusCode::kOutOfRange);
}

TEST(CatalogTest, SaysWhoMayDoWhat) {
  const Catalog catalog = TestCatalog();
  struct Access {
    const char* service;
    const char* dataset;
    StatusCode publish, consume;
  };
  using enum StatusCode;
  for (const Access& a : {Access{"checkout", "orders.shop", kOk, kOk},
                          Access{"billing", "orders.shop", kPermissionDenied, kOk},
                          Access{"cart.web", "orders.shop", kPermissionDenied, kOk},
                          Access{"other", "orders.shop", kPermissionDenied, kPermissionDenied},
                          Access{"billing", "prices", kPermissionDenied, kPermissionDenied},
                          Access{"checkout", "nope", kNotFound, kNotFound}}) {
    SCOPED_TRACE(fmt::format("{} {}", a.service, a.dataset));
    EXPECT_EQ(catalog.CheckMayPublish(a.service, a.dataset).code(), a.publish);
    EXPECT_EQ(catalog.CheckMayConsume(a.service, a.dataset).code(), a.consume);
  }
}

TEST(CatalogTest, ListsTheSubscriptionsOfAService) {
  Catalog catalog;
  for (const auto& [name, service] :
       {std::pair{"b", "billing"}, {"a", "billing"}, {"c", "other"}}) {
    common::Subscription subscription;
    subscription.name = name;
    subscription.service = service;
    catalog.Apply({.kind = "Subscription", .name = name, .object = subscription});
  }
  const auto found = catalog.SubscriptionsOf("billing");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]->name, "a");
  EXPECT_EQ(found[1]->name, "b");
  catalog.Apply({.kind = "Subscription", .name = "a", .object = std::nullopt});
  EXPECT_EQ(catalog.SubscriptionsOf("billing").size(), 1u);
}

}  // namespace
}  // namespace cp
