// State of the world: each response holds all that is subscribed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/fanout/hub_harness.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "tributary/v1/resources.pb.h"

namespace cp {
namespace {

using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;
using envoy::service::discovery::v3::Resource;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Values = std::map<std::string, std::string>;

class SotwTest : public ::testing::Test, public HubHarness {
 protected:
  SotwTest() {
    Declare("d");
    for (const char* key : {"A", "B", "C"}) Put("d", key, "v1");
  }
  static DiscoveryRequest Want(const Names& names, std::string_view type = common::kEntryType) {
    DiscoveryRequest request;
    request.set_type_url(std::string(type));
    for (const std::string& name : names) request.add_resource_names(name);
    return request;
  }
  void Say(StreamId stream, const DiscoveryRequest& request) {
    RequestBytes(stream, request.SerializeAsString());
  }
  StreamId Connect(DiscoveryRequest first, const std::string& feature = {}) {
    const StreamId stream = Open({}, Variant::kSotw);
    first.mutable_node()->set_id("reader");
    if (!feature.empty()) first.mutable_node()->add_client_features(feature);
    Say(stream, first);
    return stream;
  }
  StreamId Connect(const Names& names) { return Connect(Want(names)); }
  std::optional<DiscoveryResponse> See(StreamId stream) {
    const std::optional<std::string> bytes = ReceiveBytes(stream);
    if (!bytes) return std::nullopt;
    DiscoveryResponse response;
    EXPECT_TRUE(response.ParseFromString(*bytes));
    EXPECT_FALSE(response.nonce().empty() || response.version_info().empty());
    EXPECT_EQ(response.control_plane().identifier(), "tributary");
    return response;
  }
  // The answer to `response`, which repeats what is wanted, as the variant has it.
  void Ack(StreamId stream, const DiscoveryResponse& response, const Names& names) {
    DiscoveryRequest ack = Want(names, response.type_url());
    ack.set_version_info(response.version_info());
    ack.set_response_nonce(response.nonce());
    Say(stream, ack);
  }
  static Values ValuesOf(const DiscoveryResponse& response) {
    Values values;
    for (const auto& any : response.resources()) {
      EXPECT_EQ(any.type_url(), response.type_url());
      tributary::v1::Entry entry;
      EXPECT_TRUE(entry.ParseFromString(any.value()));
      EXPECT_TRUE(values.emplace(entry.name(), entry.value()).second) << "a name twice";
    }
    return values;
  }
  static std::map<std::string, int> ErrorsOf(const DiscoveryResponse& response) {
    std::map<std::string, int> errors;
    for (const auto& error : response.resource_errors()) {
      errors[error.resource_name().name()] = error.error_detail().code();
    }
    return errors;
  }
  // The one response that is due, acknowledged.
  Values Next(StreamId stream, const Names& names) {
    clock.now += common::kSotwInterval;
    const auto response = See(stream);
    if (!response) return {{"", "nothing came"}};
    Ack(stream, *response, names);
    EXPECT_TRUE(Quiet(stream));
    return ValuesOf(*response);
  }
  const std::string a = Entry("A"), b = Entry("B"), c = Entry("C"), z = Entry("Z");
  const Values all = {{a, "v1"}, {b, "v1"}, {c, "v1"}};
};

TEST_F(SotwTest, EmptyNamesAreTheWildcardUntilSomethingWasNamed) {
  const StreamId stream = Connect(Names{});
  EXPECT_EQ(Next(stream, {}), all);
  Say(stream, Want({a}));  // unlike delta this drops the wildcard
  EXPECT_EQ(Next(stream, {a}), (Values{{a, "v1"}}));
  Put("d", "B", "v2");
  clock.now += common::kSotwInterval;
  EXPECT_TRUE(Quiet(stream));
  Say(stream, Want({}));  // nothing, and not the wildcard again
  EXPECT_TRUE(Quiet(stream));
  Put("d", "A", "v2");
  clock.now += common::kSotwInterval;
  EXPECT_TRUE(Quiet(stream));
  Say(stream, Want({"*"}));
  EXPECT_EQ(Next(stream, {"*"}), (Values{{a, "v2"}, {b, "v2"}, {c, "v1"}}));
}

TEST_F(SotwTest, EachChangeSendsAllAndAbsenceIsDeletion) {
  const Names names = {Glob()};
  const StreamId stream = Connect(names);
  EXPECT_EQ(Next(stream, names), all);
  Put("d", "A", "v2");
  EXPECT_EQ(Next(stream, names), (Values{{a, "v2"}, {b, "v1"}, {c, "v1"}}));
  Commit({{.dataset = "d", .key = "A", .value = {}},
          {.dataset = "d", .key = "B", .value = {}},
          {.dataset = "d", .key = "C", .value = {}}});
  EXPECT_EQ(Next(stream, names), Values{});
  Put("d", "D", "v1");
  EXPECT_EQ(Next(stream, names), (Values{{Entry("D"), "v1"}}));
}

TEST_F(SotwTest, OverlappingNamesAreSentOnce) {
  const Names names = {Glob(), Glob("d", "A"), a, "*", z};
  EXPECT_EQ(Next(Connect(names), names), all);
}

TEST_F(SotwTest, ChangesThatComeQuicklyBecomeOneResponse) {
  const StreamId stream = Connect({a});
  EXPECT_EQ(Next(stream, {a}), (Values{{a, "v1"}}));
  Put("d", "A", "v2");
  EXPECT_EQ(ValuesOf(*See(stream)), (Values{{a, "v2"}})) << "the first is not held up";
  for (int i = 0; i < 100; ++i) Put("d", "A", std::to_string(i));
  EXPECT_TRUE(Quiet(stream)) << "not before the interval has passed";
  EXPECT_EQ(Next(stream, {a}), (Values{{a, "99"}}));
}

TEST_F(SotwTest, AskingIsAnsweredAtOnce) {
  const StreamId stream = Connect({a});
  See(stream);
  Say(stream, Want({a, b}));
  EXPECT_EQ(ValuesOf(*See(stream)), (Values{{a, "v1"}, {b, "v1"}}));
}

TEST_F(SotwTest, MissingAndRefusedNamesAreResourceErrors) {
  Declare("secret", {"somebody"});
  const std::string hidden = Glob("secret");
  const StreamId stream = Connect({a, z, hidden, "nonsense"});
  const auto response = See(stream);
  EXPECT_EQ(ValuesOf(*response), (Values{{a, "v1"}}));
  EXPECT_EQ(ErrorsOf(*response),
            (std::map<std::string, int>{{z, 5}, {hidden, 7}, {"nonsense", 3}}));
  Put("d", "Z", "v1");
  clock.now += common::kSotwInterval;
  EXPECT_THAT(ErrorsOf(*See(stream)), ::testing::SizeIs(2));
}

TEST_F(SotwTest, VersionIsStableAndSparesTheFirstResponse) {
  const StreamId first = Connect(Names{Glob()});
  const std::string version = See(first)->version_info();
  EXPECT_EQ(See(Connect({"*"}))->version_info(), version) << "the same content";
  DiscoveryRequest resume = Want({Glob()});
  resume.set_version_info(version);
  const StreamId again = Connect(resume);
  EXPECT_TRUE(Quiet(again));
  clock.now += common::kSotwInterval;
  Put("d", "A", "v2");
  EXPECT_NE(See(again)->version_info(), version);
  EXPECT_TRUE(See(Connect(resume)).has_value()) << "what it holds is no longer current";
}

TEST_F(SotwTest, ARejectedVersionIsNotSentAgain) {
  const StreamId stream = Connect({a});
  const auto response = See(stream);
  DiscoveryRequest nack = Want({a});
  nack.set_version_info("what I had");
  nack.set_response_nonce(response->nonce());
  nack.mutable_error_detail()->set_message("no");
  Say(stream, nack);
  clock.now += std::chrono::seconds(10);
  Put("d", "B", "v2");
  EXPECT_TRUE(Quiet(stream));
  EXPECT_EQ(hub.counters().nacks, 1u);
  clock.now += common::kSotwInterval;
  Put("d", "A", "v2");
  EXPECT_EQ(ValuesOf(*See(stream)), (Values{{a, "v2"}}));
}

TEST_F(SotwTest, NamesInAStaleRequestCount) {
  const StreamId stream = Connect({a});
  const auto first = See(stream);
  clock.now += common::kSotwInterval;
  Put("d", "A", "v2");
  const auto second = See(stream);
  DiscoveryRequest late = Want({a, b});
  late.set_response_nonce(first->nonce());
  Say(stream, late);
  EXPECT_EQ(ValuesOf(*See(stream)), (Values{{a, "v2"}, {b, "v1"}}));
  DiscoveryRequest bogus = Want({a, b, c});
  bogus.set_response_nonce("bogus");
  Say(stream, bogus);
  EXPECT_EQ(ValuesOf(*See(stream)).size(), 3u);
}

TEST_F(SotwTest, WrappedOnlyForThoseWhoCanUnwrap) {
  const StreamId stream = Connect(Want({a}), "xds.config.supports-resource-in-sotw");
  const auto response = See(stream);
  ASSERT_EQ(response->resources_size(), 1);
  Resource resource;
  ASSERT_TRUE(response->resources(0).UnpackTo(&resource));
  EXPECT_EQ(resource.name(), a);
  EXPECT_EQ(resource.version(), VersionOf("d", "A"));
  EXPECT_EQ(resource.resource().type_url(), common::kEntryType);
}

TEST_F(SotwTest, AnAgentsFeatureMeansNothingHere) {
  const StreamId stream = Connect(Want({Glob()}), "tributary.cursor.v1");
  EXPECT_EQ(ValuesOf(*See(stream)), all) << "no markers";
}

TEST_F(SotwTest, TheOtherTypes) {
  const std::string state = common::DatasetStateName("d");
  const StreamId stream = Connect(Want({state}, common::kDatasetStateType));
  tributary::v1::DatasetState got;
  ASSERT_TRUE(got.ParseFromString(See(stream)->resources(0).value()));
  EXPECT_EQ(got.dataset(), "d");
  EXPECT_EQ(got.entries(), 3u);
  DeclareSubscription("s", "reader", "d");
  Say(stream, Want({}, common::kSubscriptionType));
  tributary::v1::Subscription subscription;
  ASSERT_TRUE(subscription.ParseFromString(See(stream)->resources(0).value()));
  EXPECT_EQ(subscription.name(), common::SubscriptionName("reader", "s"));
  Say(stream, Want({"x"}, "type.googleapis.com/no.such.Type"));
  EXPECT_THAT(ErrorsOf(*See(stream)), ElementsAre(std::pair<const std::string, int>{"x", 5}));
  Put("d", "D", "v1");
  clock.now += common::kSotwInterval;
  ASSERT_TRUE(got.ParseFromString(See(stream)->resources(0).value()));
  EXPECT_EQ(got.entries(), 4u);
}

TEST_F(SotwTest, WithdrawnGrantEmptiesTheWorld) {
  const StreamId stream = Connect(Names{});
  EXPECT_EQ(Next(stream, {}), all);
  Declare("d", {"somebody"});
  EXPECT_EQ(Next(stream, {}), Values{});
  Declare("d", {"reader"});
  EXPECT_EQ(Next(stream, {}), all);
}

TEST_F(SotwTest, TooMuchEndsTheStreamAndNamesTheLimit) {
  Declare("big");
  std::vector<Write> writes;
  for (int i = 0; i < 5; ++i) {
    writes.push_back({.dataset = "big",
                      .key = std::to_string(i),
                      .value = std::string(common::kValueBytesMax - 1000, 'x')});
  }
  Commit(writes);
  const StreamId stream = Connect(Names{Glob("big")});
  ASSERT_TRUE(closed(stream).has_value());
  EXPECT_EQ(closed(stream)->code(), common::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(common::Message(*closed(stream))), HasSubstr("4 MiB"));
  const StreamId fits = Connect(Names{Glob("big", "1"), Glob("big", "2")});
  EXPECT_EQ(See(fits)->resources_size(), 2);
  Declare("many");
  writes.clear();
  for (std::size_t i = 0; i <= common::kSotwEntriesMax; ++i) {
    writes.push_back({.dataset = "many", .key = std::to_string(i), .value = "x"});
  }
  Commit(writes);
  const StreamId crowded = Connect(Names{Glob("many")});
  EXPECT_THAT(std::string(common::Message(*closed(crowded))), HasSubstr("50000 resources"));
}

TEST_F(SotwTest, LeavesTheIndexClean) {
  for (const Names& names : {Names{}, Names{a, Glob(), Glob("e")}}) {
    const StreamId stream = Connect(names);
    See(stream);
    Say(stream, Want({b}));
    Disconnect(stream);
    Put("d", "A", "again");
  }
  EXPECT_EQ(hub.streams(), 0u);
}

}  // namespace
}  // namespace cp
