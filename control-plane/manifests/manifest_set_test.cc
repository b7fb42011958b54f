#include "control-plane/manifests/manifest_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

common::Declaration Orders(const std::string& owner) {
  return common::Dataset{.name = "orders", .owner = owner, .consumers = {"*"}};
}
common::Declaration Wants(const std::string& name) {
  return common::Subscription{.name = name,
                              .service = "billing",
                              .collection = {"orders", ""},
                              .mode = {},
                              .consistency = {}};
}

std::string Text(const DeclarationChange& change) {
  return fmt::format("{}{} from {}", change.object ? "+" : "-", change.name, change.origin);
}

// Plans against `catalog` and applies what was planned; returns it as text.
std::vector<std::string> Settle(const ManifestSet& set, Catalog& catalog) {
  std::vector<std::string> made;
  for (const ManifestPlan& plan : set.Plan(catalog)) {
    for (const DeclarationChange& change : plan.changes) {
      made.push_back(Text(change));
      catalog.Apply(change);
    }
  }
  return made;
}

TEST(ManifestSetTest, FollowsFilesAsTheyComeChangeAndGo) {
  ManifestSet set;
  Catalog catalog;
  set.Put("a.yaml", std::vector{Orders("checkout"), Wants("w1")});
  EXPECT_THAT(Settle(set, catalog), ElementsAre("+orders from a.yaml", "+w1 from a.yaml"));
  EXPECT_THAT(Settle(set, catalog), IsEmpty()) << "nothing left to do";

  set.Put("a.yaml", std::vector{Orders("shop"), Wants("w1")});
  EXPECT_THAT(Settle(set, catalog), ElementsAre("+orders from a.yaml"));

  set.Put("a.yaml", std::vector{Orders("shop")});
  EXPECT_THAT(Settle(set, catalog), ElementsAre("-w1 from a.yaml"));

  set.Remove("a.yaml");
  EXPECT_THAT(Settle(set, catalog), ElementsAre("-orders from a.yaml"));
}

TEST(ManifestSetTest, ARenamedFileWithdrawsNothing) {
  ManifestSet set;
  Catalog catalog;
  set.Put("a.yaml", std::vector{Orders("checkout")});
  Settle(set, catalog);
  set.Remove("a.yaml");
  set.Put("b.yaml", std::vector{Orders("checkout")});
  EXPECT_THAT(Settle(set, catalog), ElementsAre("+orders from b.yaml"));
}

TEST(ManifestSetTest, ABrokenFileKeepsItsFormerObjects) {
  ManifestSet set;
  Catalog catalog;
  set.Put("a.yaml", std::vector{Orders("checkout")});
  Settle(set, catalog);
  set.Put("a.yaml", common::InvalidArgument("a.yaml:3: spec.owner: is missing"));
  EXPECT_THAT(Settle(set, catalog), IsEmpty());
  EXPECT_THAT(set.Faults(), ElementsAre(Pair("a.yaml", "a.yaml:3: spec.owner: is missing")));
  set.Put("a.yaml", std::vector<common::Declaration>{});
  EXPECT_THAT(Settle(set, catalog), ElementsAre("-orders from a.yaml"));
  EXPECT_THAT(set.Faults(), IsEmpty());
}

// Goal: a restart while a file is broken must not withdraw what the file declared before.
TEST(ManifestSetTest, AFileBrokenAtStartKeepsTheObjectsOfTheLastRun) {
  Catalog catalog;
  ManifestSet before;
  before.Put("a.yaml", std::vector{Orders("checkout")});
  before.Put("b.yaml", std::vector{Wants("w1")});
  Settle(before, catalog);

  ManifestSet after;
  after.Put("a.yaml", common::InvalidArgument("a.yaml:1: broken"));
  EXPECT_THAT(Settle(after, catalog), ElementsAre("-w1 from b.yaml"));
}

TEST(ManifestSetTest, TheSameObjectInTwoFilesIsAFaultOfTheSecond) {
  ManifestSet set;
  Catalog catalog;
  set.Put("a.yaml", std::vector{Orders("checkout")});
  set.Put("b.yaml", std::vector{Orders("thief"), Wants("w1")});
  EXPECT_THAT(Settle(set, catalog), ElementsAre("+orders from a.yaml"));
  EXPECT_THAT(set.Faults(), ElementsAre(Pair("b.yaml", HasSubstr("also declared in a.yaml"))));
  set.Remove("a.yaml");
  EXPECT_THAT(Settle(set, catalog), ElementsAre("+orders from b.yaml", "+w1 from b.yaml"));
}

TEST(ManifestSetTest, LeavesObjectsOfOtherSourcesAlone) {
  Catalog catalog;
  catalog.Apply(
      {.kind = "Dataset", .name = "orders", .object = Orders("checkout"), .source = Source::kApi});
  EXPECT_THAT(Settle(ManifestSet(), catalog), IsEmpty());
}

}  // namespace
}  // namespace cp
