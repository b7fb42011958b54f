#include "common/declarations.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "common/declaration_text.h"

namespace common {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kContract = R"(apiVersion: tributary.dev/v1alpha1
kind: Dataset
metadata: {name: orders, namespace: shop}        # dataset "orders.shop"
spec:
  owner: checkout.shop
  consumers: ["billing.finance", "*.shop"]
  maxValueBytes: 65536
---
apiVersion: tributary.dev/v1alpha1
kind: Subscription
metadata: {name: billing-orders, namespace: finance}
spec:
  service: billing.finance
  dataset: orders.shop
  prefix: "eu-"                                   # optional
  mode: replicate                                 # replicate | onDemand | readThrough
  consistency: {level: bounded, maxStaleness: 5s, onStale: error}
)";

std::string ErrorOf(std::string_view text) {
  const auto parsed = ParseDeclarations(text, "f.yaml");
  return parsed.ok() ? "accepted" : std::string(Message(parsed.status()));
}

TEST(DeclarationsTest, ReadsTheContract) {
  const auto parsed = ParseDeclarations(kContract, "f.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ(std::get<Dataset>((*parsed)[0]), (Dataset{.name = "orders.shop",
                                                      .owner = "checkout.shop",
                                                      .consumers = {"billing.finance", "*.shop"},
                                                      .max_value_bytes = 65536}));
  EXPECT_EQ(std::get<Subscription>((*parsed)[1]),
            (Subscription{
                .name = "billing-orders.finance",
                .service = "billing.finance",
                .collection = {"orders.shop", "eu-"},
                .mode = Mode::kReplicate,
                .consistency = {ConsistencyLevel::kBounded, milliseconds(5000), OnStale::kError}}));
}

constexpr std::string_view kHead =
    "apiVersion: tributary.dev/v1alpha1\nkind: Dataset\nmetadata: {name: a}\n";
constexpr std::string_view kSubHead =
    "apiVersion: tributary.dev/v1alpha1\nkind: Subscription\nmetadata: {name: a}\n";
constexpr std::string_view kSub = "spec:\n  service: b\n  dataset: d\n";

TEST(DeclarationsTest, Accepts) {
  const struct {
    std::string text;
    std::size_t objects;
  } kCases[] = {
      {"", 0},
      {"# nothing\n", 0},
      {"---\n---\n", 0},
      {"null\n", 0},
      {fmt::format("{}spec: {{owner: b}}\n", kHead), 1},
      {fmt::format("---\n{}spec: {{owner: b}}\n---\n", kHead), 1},
      {fmt::format("{}spec: {{owner: b, consumers: [], maxValueBytes: 1}}\n", kHead), 1},
      {fmt::format("{}spec: {{owner: b, consumers: null, maxValueBytes: ~}}\n", kHead), 1},
      {fmt::format("{}spec: {{owner: b, consumers: [\"*\"], maxValueBytes: 1048576}}\n", kHead), 1},
      {fmt::format("{}spec: {{owner: b}}\nstatus: {{anything: [1, {{x: y}}]}}\n", kHead), 1},
      {fmt::format("{}{}", kSubHead, kSub), 1},
      {fmt::format("{}{}  consistency: {{level: strong}}\n  mode: readThrough\n", kSubHead, kSub),
       1},
      {fmt::format("{}{}  consistency: {{level: bounded, maxStaleness: 250ms}}\n", kSubHead, kSub),
       1},
      {fmt::format("{}{}  prefix: ''\n", kSubHead, kSub), 1},
      // Equal names of different kinds do not clash.
      {fmt::format("{}spec: {{owner: b}}\n---\n{}{}", kHead, kSubHead, kSub), 2},
      // As kubectl prints it.
      {"apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n"
       "- apiVersion: tributary.dev/v1alpha1\n  kind: Dataset\n  metadata:\n    name: a\n"
       "    namespace: n\n    labels: {x: y}\n    annotations: {kubectl.kubernetes.io/last: '{}'}\n"
       "    uid: 1-2\n    generation: 1\n    resourceVersion: '12'\n    creationTimestamp: null\n"
       "    managedFields: []\n  spec: {owner: b}\n  status: {ready: true}\n",
       1},
      {"[{\"apiVersion\":\"tributary.dev/"
       "v1alpha1\",\"kind\":\"Dataset\",\"metadata\":{\"name\":\"1\"}"
       ",\"spec\":{\"owner\":\"2\"}}]",
       1},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.text);
    const auto parsed = ParseDeclarations(c.text, "f.yaml");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->size(), c.objects);
  }
}

struct Refusal {
  std::string text;
  const char* faults;  // one a line, without the file name
};
const Refusal kRefusals[] = {
    {"just text\n",
     "1: a declaration must be an object with apiVersion, kind, metadata and spec, not text"},
    {"{}\n", "1: apiVersion: is required\n1: kind: is required\n1: metadata: is required"},
    {"apiVersion: tributary.dev/v1\nkind: dataset\nmetadata: {name: a}\nspec: {}\n",
     "1: apiVersion: 'tributary.dev/v1' is not supported: write tributary.dev/v1alpha1\n"
     "2: kind: 'dataset' is not one of Dataset, Subscription; did you mean 'Dataset'?"},
    {fmt::format("{}spec: {{}}\n", kHead), "4: spec.owner: is required"},
    {std::string(kHead), "1: spec: is required"},
    {fmt::format("{}spec: 5\n", kHead), "4: spec: must be an object, not a number or truth value"},
    {fmt::format("{}spec:\n  ownr: b\n", kHead),
     "4: spec.owner: is required\n"
     "5: spec.ownr: unknown field; known here: owner, consumers, maxValueBytes; did you mean "
     "'owner'?"},
    {fmt::format("{}spec:\n  owner: Checkout\n", kHead),
     "5: spec.owner: service name 'Checkout' is not DNS labels joined by dots (lower-case "
     "letters, digits and '-', each label at most 63 bytes)"},
    {fmt::format("{}spec:\n  owner: 12\n", kHead),
     "5: spec.owner: must be text: put 12 in quotes: \"12\""},
    {fmt::format("{}spec:\n  owner: b\n  owner: c\n", kHead),
     "6: spec.owner: is given twice, first in line 5: remove one"},
    {fmt::format("{}spec:\n  owner: b\n  consumers: c\n", kHead),
     "6: spec.consumers: must be a list of service names or patterns such as [\"*.shop\"], not "
     "text"},
    {fmt::format("{}spec:\n  owner: b\n  consumers:\n  - ok\n  - 'x*'\n  - [y]\n", kHead),
     "8: spec.consumers[1]: 'x*' is not a service name, '*' or '*.<suffix>'\n9: spec.consumers[2]: "
     "must be text, not a list"},
    {fmt::format("{}spec:\n  owner: b\n  maxValueBytes: 0\n", kHead),
     "6: spec.maxValueBytes: must be a whole number of bytes from 1 to 1048576"},
    {fmt::format("{}spec:\n  owner: b\n  maxValueBytes: 1048577\n", kHead),
     "6: spec.maxValueBytes: must be a whole number of bytes from 1 to 1048576"},
    {fmt::format("{}spec:\n  owner: b\n  maxValueBytes: 64Ki\n", kHead),
     "6: spec.maxValueBytes: must be a whole number of bytes from 1 to 1048576"},
    {fmt::format("{}spec:\n  owner: b\n  maxValueBytes: '64'\n", kHead),
     "6: spec.maxValueBytes: must be a whole number of bytes from 1 to 1048576"},
    {fmt::format("{}spec:\n  owner: b\n  maxValueBytes: 99999999999999999999\n", kHead),
     "6: spec.maxValueBytes: must be a whole number of bytes from 1 to 1048576"},
    {fmt::format("{}spec: {{owner: b}}\n---\n{}spec: {{owner: c}}\n", kHead, kHead),
     "6: metadata.name: Dataset a is declared twice, first in line 1: remove one"},
    {"apiVersion: tributary.dev/v1alpha1\nkind: Dataset\nmetadata:\n  name: A_b\n  namespace: x.y\n"
     "  label: {}\nspec: {owner: b}\n",
     "4: metadata.name: 'A_b' is not a name: DNS labels joined by dots (lower-case letters, digits "
     "and '-', each label at most 63 bytes, the whole at most 253)\n"
     "6: metadata.label: unknown field; known here: name, namespace, labels, annotations; did you "
     "mean 'labels'?"},
    {"apiVersion: tributary.dev/v1alpha1\nkind: Dataset\nmetadata:\n  name: a\n  namespace: x.y\n"
     "spec: {owner: b}\n",
     "5: metadata.namespace: 'x.y' is not a namespace: one DNS label (lower-case letters, digits "
     "and '-', at most 63 bytes)"},
    {fmt::format("{}{}  mode: ondemand\n", kSubHead, kSub),
     "7: spec.mode: 'ondemand' is not one of replicate, onDemand, readThrough; did you mean "
     "'onDemand'?"},
    {fmt::format("{}{}  prefix: 2024\n", kSubHead, kSub),
     "7: spec.prefix: must be text: put 2024 in quotes: \"2024\""},
    {fmt::format("{}{}  prefix: {}\n", kSubHead, kSub, std::string(401, 'p')),
     "7: spec.prefix: prefix has 401 bytes, a key has at most 400"},
    {fmt::format("{}{}  consistency:\n    level: bounded\n", kSubHead, kSub),
     "7: spec.consistency.maxStaleness: is required with level bounded, for example 5s"},
    {fmt::format(
         "{}{}  consistency:\n    level: strong\n    maxStaleness: 5s\n    onStale: serve\n",
         kSubHead, kSub),
     "9: spec.consistency.maxStaleness: only goes with level bounded: remove it, or write level: "
     "bounded\n"
     "10: spec.consistency.onStale: only goes with level bounded: remove it, or write level: "
     "bounded"},
    {fmt::format("{}{}  consistency:\n    onStale: error\n", kSubHead, kSub),
     "8: spec.consistency.onStale: only goes with level bounded: remove it, or write level: "
     "bounded"},
    // A misspelt level is one fault, not three.
    {fmt::format("{}{}  consistency:\n    level: bound\n    maxStaleness: 5s\n", kSubHead, kSub),
     "8: spec.consistency.level: 'bound' is not one of eventual, bounded, strong; did you mean "
     "'bounded'?"},
    {fmt::format("{}{}  consistency:\n    level: bounded\n    maxStaleness: 5\n", kSubHead, kSub),
     "9: spec.consistency.maxStaleness: must be text: put 5 in quotes: \"5\""},
    {fmt::format("{}{}  consistency:\n    level: bounded\n    maxStaleness: 5 s\n", kSubHead, kSub),
     "9: spec.consistency.maxStaleness: \"5 s\" is not a duration; write e.g. 250ms, 5s, 1h30m or "
     "24h"},
    {fmt::format("{}{}  consistency:\n    level: bounded\n    maxStaleness: 0s\n", kSubHead, kSub),
     "9: spec.consistency.maxStaleness: must be more than 0 and at most 720h"},
    {fmt::format("{}spec:\n  owner: \"a\\nb\"\n", kHead),
     "5: spec.owner: service name 'a\\x0ab' is not DNS labels joined by dots (lower-case letters, "
     "digits and '-', each label at most 63 bytes)"},
    {fmt::format("{}spec: {{owner: b}}\n---\nkind: [\n", kHead),
     "7: not valid YAML: end of sequence flow not found"},
    {"apiVersion: v1\nkind: List\nitems: x\n", "3: items: must be a list, not text"},
    {"- {kind: Dataset}\n- 5\n",
     "1: [0].apiVersion: is required\n1: [0].metadata: is required\n1: [0].spec: is required\n"
     "2: [1]: a declaration must be an object with apiVersion, kind, metadata and spec, not a "
     "number or truth value"},
};

TEST(DeclarationsTest, RefusesAndSaysWhatToDo) {
  for (const auto& c : kRefusals) {
    SCOPED_TRACE(c.text);
    std::string want;
    std::string_view rest = c.faults;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      want += fmt::format("{}f.yaml:{}", want.empty() ? "" : "\n", line);
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    EXPECT_EQ(ErrorOf(c.text), want);
  }
}

TEST(DeclarationsTest, TheCodeIsInvalidArgument) {
  EXPECT_EQ(ParseDeclarations("x", "f").status().code(), StatusCode::kInvalidArgument);
}

TEST(DeclarationsTest, JsonRoundTrip) {
  const Declaration kObjects[] = {
      Dataset{.name = "a", .owner = "b"},
      Dataset{
          .name = "123.4", .owner = "no", .consumers = {"*", "*.x", "true"}, .max_value_bytes = 1},
      Subscription{.name = "s", .service = "b", .collection = {"d", ""}},
      Subscription{
          .name = "s",
          .service = "b",
          .collection = {"d", "eu-\"\\\n\x01 \xc3\xa9\xf0\x9f\x98\x80*"},
          .mode = Mode::kOnDemand,
          .consistency = {ConsistencyLevel::kBounded, milliseconds(1), OnStale::kReadThrough}},
      Subscription{.name = "s",
                   .service = "b",
                   .collection = {"d", "12"},
                   .mode = Mode::kReadThrough,
                   .consistency = {ConsistencyLevel::kStrong}},
  };
  for (const Declaration& object : kObjects) {
    const std::string json = ToJson(object);
    SCOPED_TRACE(json);
    EXPECT_EQ(json.find('\n'), std::string::npos);
    const auto parsed = ParseDeclarations(json, "f");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ASSERT_EQ(parsed->size(), 1u);
    EXPECT_TRUE(parsed->front() == object);
  }
}

TEST(DeclarationsTest, JsonIsTheDeclaredForm) {
  const auto parsed = ParseDeclarations(kContract, "f.yaml");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(ToJson((*parsed)[0]),
            R"({"apiVersion":"tributary.dev/v1alpha1","kind":"Dataset",)"
            R"("metadata":{"name":"orders.shop"},)"
            R"("spec":{"owner":"checkout.shop","consumers":["billing.finance","*.shop"],)"
            R"("maxValueBytes":65536}})");
  EXPECT_EQ(ToJson((*parsed)[1]),
            R"({"apiVersion":"tributary.dev/v1alpha1","kind":"Subscription",)"
            R"("metadata":{"name":"billing-orders.finance"},"spec":{"service":"billing.finance",)"
            R"("dataset":"orders.shop","prefix":"eu-","mode":"replicate",)"
            R"("consistency":{"level":"bounded","maxStaleness":"5s","onStale":"error"}}})");
}

TEST(DeclarationsTest, MaxStaleness) {
  for (const char* text : {"1ms", "250ms", "5s", "2m", "1h", "1m30s", "720h"}) {
    EXPECT_TRUE(ParseMaxStaleness(text).ok()) << text;
  }
  for (const char* text : {"", "0", "0s", "s", "-5s", "5 s", "5S", "720h1ms", "+5s", "5"}) {
    EXPECT_FALSE(ParseMaxStaleness(text).ok()) << text;
  }
}

TEST(DeclarationsTest, SubscribeFlag) {
  const struct {
    const char* text;
    Collection collection;
    Mode mode;
  } kGood[] = {
      {"orders", {"orders", ""}, Mode::kReplicate},
      {"orders.shop:onDemand", {"orders.shop", ""}, Mode::kOnDemand},
      {"orders.shop/*", {"orders.shop", ""}, Mode::kReplicate},
      {"orders.shop/eu-*", {"orders.shop", "eu-"}, Mode::kReplicate},
      {"orders.shop/eu-*:readThrough", {"orders.shop", "eu-"}, Mode::kReadThrough},
      {"o/a:b/*c*:replicate", {"o", "a:b/*c"}, Mode::kReplicate},
  };
  for (const auto& c : kGood) {
    const auto parsed = ParseSubscribeFlag(c.text);
    ASSERT_TRUE(parsed.ok()) << c.text << parsed.status();
    EXPECT_EQ(*parsed, (Subscription{.collection = c.collection, .mode = c.mode}));
  }
  const struct {
    const char* text;
    const char* part;
  } kBad[] = {
      {"", "dataset name is empty"},
      {"Orders", "not DNS labels"},
      {"orders/eu-", "the prefix must end with '*'"},
      {"orders/eu-*x", "is not one of :replicate"},
      {"orders:", "is not one of :replicate"},
      {"orders:ondemand", "did you mean 'onDemand'?"},
      {"orders/\xff*", "not UTF-8"},
  };
  for (const auto& c : kBad) {
    SCOPED_TRACE(c.text);
    const auto parsed = ParseSubscribeFlag(c.text);
    ASSERT_FALSE(parsed.ok());
    EXPECT_NE(Message(parsed.status()).find(c.part), std::string_view::npos) << parsed.status();
  }
}

// Goal: a damaged text is refused or read, never a crash; every fault has file and line.
TEST(DeclarationsTest, DamagedTextIsAnAnswer) {
  const char* given = std::getenv("TRIBUTARY_SEED");
  const auto seed = given ? std::stoull(given) : std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 3'000; ++round) {
    std::string text(kContract);
    for (std::uint64_t i = random() % 4 + 1; i > 0; --i) {
      const std::size_t at = random() % text.size();
      if (random() % 2 == 0)
        text[at] = static_cast<char>(random());
      else
        text.erase(at, random() % 20);
      if (text.empty()) text = " ";
    }
    const auto parsed = ParseDeclarations(text, "f.yaml");
    if (parsed.ok()) continue;
    ASSERT_TRUE(Message(parsed.status()).starts_with("f.yaml:"));
  }
}

}  // namespace
}  // namespace common
