#include "control-plane/admin/admin_rights.h"

#include <gtest/gtest.h>

namespace cp {
namespace {

DeclarationChange DatasetChange(const std::string& name, const std::string& owner) {
  return {.kind = "Dataset",
          .name = name,
          .object = common::Dataset{.name = name, .owner = owner, .consumers = {}},
          .source = Source::kApi};
}

DeclarationChange SubscriptionChange(const std::string& name, const std::string& service) {
  return {.kind = "Subscription",
          .name = name,
          .object = common::Subscription{.name = name,
                                         .service = service,
                                         .collection = {"orders", ""},
                                         .mode = {},
                                         .consistency = {}},
          .source = Source::kApi};
}

DeclarationChange Withdraw(const DeclarationChange& change) {
  return {
      .kind = change.kind, .name = change.name, .object = std::nullopt, .source = change.source};
}

TEST(AdminRightsTest, AServiceChangesWhatIsItsOwnAndAnAdminEverything) {
  Catalog catalog;
  catalog.Apply(DatasetChange("orders", "checkout"));
  catalog.Apply(SubscriptionChange("mine", "billing"));
  struct Case {
    const char* what;
    const char* caller;
    DeclarationChange change;
    bool allowed;
  };
  const AdminRights rights(/*enforce=*/true, {"ops", "*.platform"});
  for (const Case& c : {
           Case{"own new dataset", "billing", DatasetChange("invoices", "billing"), true},
           Case{"new dataset for another", "billing", DatasetChange("invoices", "checkout"), false},
           Case{"own dataset again", "checkout", DatasetChange("orders", "checkout"), true},
           Case{"taking another's dataset", "billing", DatasetChange("orders", "billing"), false},
           Case{"giving one's dataset away", "checkout", DatasetChange("orders", "billing"), false},
           Case{"withdrawing one's own", "checkout", Withdraw(DatasetChange("orders", "")), true},
           Case{"withdrawing another's", "billing", Withdraw(DatasetChange("orders", "")), false},
           Case{"subscription of itself", "billing", SubscriptionChange("more", "billing"), true},
           Case{"subscription of another", "checkout", SubscriptionChange("more", "billing"),
                false},
           Case{"taking a subscription", "checkout", SubscriptionChange("mine", "checkout"), false},
           Case{"an admin takes", "ops", DatasetChange("orders", "billing"), true},
           Case{"an admin by pattern", "cd.platform", Withdraw(SubscriptionChange("mine", "")),
                true},
           Case{"not quite the pattern", "platform", DatasetChange("orders", "billing"), false},
       }) {
    SCOPED_TRACE(c.what);
    const common::Status status = rights.CheckMayChange(c.caller, c.change, catalog);
    EXPECT_EQ(status.ok(), c.allowed) << status;
    EXPECT_EQ(status.code(),
              c.allowed ? common::StatusCode::kOk : common::StatusCode::kPermissionDenied);
    EXPECT_TRUE(
        AdminRights(/*enforce=*/false, {}).CheckMayChange(c.caller, c.change, catalog).ok());
  }
}

}  // namespace
}  // namespace cp
