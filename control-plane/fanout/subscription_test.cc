// Names and wildcard of one type on one stream, request by request.
#include "control-plane/fanout/subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cp {
namespace {

using ::testing::UnorderedElementsAreArray;

using Names = std::vector<std::string>;

struct Step {
  Names subscribe, unsubscribe;
  // What is expected of the request …
  Names asked, dropped, confirm;
  bool wildcard_asked = false, wildcard_dropped = false;
  // … and of the subscription behind it.
  Names names;
  bool wildcard = false;
};
struct Case {
  const char* what;
  std::vector<Step> steps;
};

TEST(SubscriptionTest, FollowsTheRulesRequestByRequest) {
  const std::vector<Case> cases = {
      {"names",
       {{{"A", "B"}, {}, {"A", "B"}, {}, {}, false, false, {"A", "B"}, false},
        {{"B", "C"}, {"A"}, {"B", "C"}, {"A"}, {}, false, false, {"B", "C"}, false},
        {{}, {"Q"}, {}, {}, {}, false, false, {"B", "C"}, false},
        {{}, {"B", "C"}, {}, {"B", "C"}, {}, false, false, {}, false},
        {{}, {}, {}, {}, {}, false, false, {}, false}}},
      {"a name twice in a request", {{{"A", "A"}, {}, {"A"}, {}, {}, false, false, {"A"}, false}}},
      {"subscribe comes before unsubscribe",
       {{{"A"}, {"A"}, {}, {"A"}, {}, false, false, {}, false}}},
      {"legacy wildcard stays until it is dropped",
       {{{}, {}, {}, {}, {}, true, false, {}, true},
        {{"A"}, {}, {"A"}, {}, {}, false, false, {"A"}, true},
        {{}, {"*"}, {}, {}, {}, false, true, {"A"}, false},
        {{}, {"A"}, {}, {"A"}, {}, false, false, {}, false},
        {{}, {}, {}, {}, {}, false, false, {}, false}}},
      {"a first request that only unsubscribes is no wildcard",
       {{{}, {"A"}, {}, {}, {}, false, false, {}, false}}},
      {"explicit wildcard; a name dropped beneath it is confirmed",
       {{{"*", "A"}, {}, {"A"}, {}, {}, true, false, {"A"}, true},
        {{}, {"A"}, {}, {"A"}, {"A"}, false, false, {}, true},
        {{"*"}, {}, {}, {}, {}, true, false, {}, true}}},
      {"wildcard asked and dropped at once",
       {{{"*"}, {"*"}, {}, {}, {}, false, false, {}, false},
        {{"A"}, {}, {"A"}, {}, {}, false, false, {"A"}, false}}},
      {"wildcard asked again and dropped at once",
       {{{"*"}, {}, {}, {}, {}, true, false, {}, true},
        {{"*"}, {"*"}, {}, {}, {}, false, true, {}, false}}},
      {"wildcard and name dropped together: nothing to confirm",
       {{{"*", "A"}, {}, {"A"}, {}, {}, true, false, {"A"}, true},
        {{}, {"A", "*"}, {}, {"A"}, {}, false, true, {}, false}}},
  };
  for (const Case& c : cases) {
    Subscription subscription(/*names_max=*/3);
    for (std::size_t i = 0; i < c.steps.size(); ++i) {
      SCOPED_TRACE(fmt::format("{}, step {}", c.what, i));
      const Step& step = c.steps[i];
      common::DeltaRequest request;
      request.subscribe = step.subscribe;
      request.unsubscribe = step.unsubscribe;
      const auto change = subscription.Apply(request);
      ASSERT_TRUE(change.ok()) << change.status();
      EXPECT_EQ(change->first, i == 0);
      EXPECT_EQ(change->asked, step.asked);
      EXPECT_EQ(change->dropped, step.dropped);
      EXPECT_EQ(change->confirm, step.confirm);
      EXPECT_EQ(change->wildcard_asked, step.wildcard_asked);
      EXPECT_EQ(change->wildcard_dropped, step.wildcard_dropped);
      EXPECT_THAT(subscription.names(), UnorderedElementsAreArray(step.names));
      EXPECT_EQ(subscription.wildcard(), step.wildcard);
      EXPECT_EQ(subscription.empty(), step.names.empty() && !step.wildcard);
    }
  }
}

TEST(SubscriptionTest, RefusesTooManyAndEmptyNames) {
  Subscription subscription(/*names_max=*/2);
  common::DeltaRequest request;
  request.subscribe = {"A", "B"};
  EXPECT_TRUE(subscription.Apply(request).ok());
  EXPECT_TRUE(subscription.Apply(request).ok()) << "the same names again";
  request.subscribe = {"C"};
  EXPECT_EQ(subscription.Apply(request).status().code(), common::StatusCode::kResourceExhausted);
  request.subscribe = {""};
  EXPECT_EQ(Subscription(2).Apply(request).status().code(), common::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cp
