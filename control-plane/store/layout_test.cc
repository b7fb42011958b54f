#include "control-plane/store/layout.h"

#include <gtest/gtest.h>

#include "common/limits.h"

namespace cp::layout {
namespace {

using common::StatusCode;

TEST(LayoutTest, PositionKeysSortByDatasetThenRevisionThenOrdinal) {
  const std::vector<std::pair<std::uint32_t, Position>> ordered = {
      {1, {0, 0}}, {1, {1, 0}},       {1, {1, 255}}, {1, {1, 256}}, {1, EndOf(1)},
      {1, {2, 0}}, {1, {1ull << 40, 0}}, {2, {0, 0}},   {256, {0, 0}}};
  std::string last;
  for (const auto& [id, position] : ordered) {
    std::string key;
    PositionKey(id, position, key);
    EXPECT_LT(last, key);
    EXPECT_EQ(PositionOfKey(key), position);
    last = key;
  }
}

TEST(LayoutTest, EntryKeysKeepKeyOrderWithinADataset) {
  std::string a, b, c;
  EntryKey(1, std::string("a\0", 2), a);
  EntryKey(1, "b", b);
  EntryKey(2, std::string(1, '\0'), c);
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  EXPECT_EQ(KeyOfEntryKey(a), std::string_view("a\0", 2));
}

// Goal: what was encoded comes back, and no shorter form of it is taken for it.
template <class Decode>
void ExpectCutsFail(const std::string& bytes, const Decode& decode, std::size_t from = 0) {
  ASSERT_TRUE(decode(bytes).ok());
  for (std::size_t cut = from; cut < bytes.size(); ++cut) {
    const auto decoded = decode(std::string_view(bytes).substr(0, cut));
    ASSERT_FALSE(decoded.ok()) << "cut at " << cut;
    EXPECT_EQ(decoded.status().code(), StatusCode::kDataLoss);
  }
}

TEST(LayoutTest, EntryRoundTrip) {
  std::string bytes;
  AppendEntryHeader({.version = {0xABCDEF123456, 77}, .ordinal = 5}, bytes);
  ExpectCutsFail(bytes + "x", DecodeEntry);  // a header without a resource is damaged, too
  bytes += "resource";
  const auto entry = DecodeEntry(bytes);
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->version, (common::Version{0xABCDEF123456, 77}));
  EXPECT_EQ(entry->position(), (Position{77, 5}));
  EXPECT_EQ(entry->resource, "resource");
}

TEST(LayoutTest, DatasetRoundTrip) {
  DatasetRecord record;
  record.state = {.id = 7, .head = 1ull << 50, .floor = 3, .entries = 4, .bytes = 1ull << 40,
                  .digest = {.low = 11, .high = 12}};
  record.tombstones = 9;
  record.withdrawn_ms = 1'700'000'000'000;
  const std::string bytes = EncodeDataset(record);
  ExpectCutsFail(bytes, DecodeDataset);
  EXPECT_FALSE(DecodeDataset(bytes + "x").ok());
  const auto decoded = DecodeDataset(bytes);
  EXPECT_EQ(decoded->state.id, 7u);
  EXPECT_EQ(decoded->state.head, 1ull << 50);
  EXPECT_EQ(decoded->state.floor, 3u);
  EXPECT_EQ(decoded->state.entries, 4u);
  EXPECT_EQ(decoded->state.bytes, 1ull << 40);
  EXPECT_EQ(decoded->state.digest, record.state.digest);
  EXPECT_EQ(decoded->tombstones, 9u);
  EXPECT_EQ(decoded->withdrawn_ms, record.withdrawn_ms);
}

TEST(LayoutTest, RemovalRoundTrip) {
  const std::string bytes = EncodeRemoval({.epoch = 5, .removed_ms = -1, .key = "k"});
  ExpectCutsFail(bytes, DecodeRemoval);
  EXPECT_EQ(DecodeRemoval(bytes)->epoch, 5u);
  EXPECT_EQ(DecodeRemoval(bytes)->removed_ms, -1);
  EXPECT_EQ(DecodeRemoval(bytes)->key, "k");
}

TEST(LayoutTest, PublisherRoundTripCutsLongMessages) {
  PublisherRecord record{.seen_ms = 12, .last_sequence = 9, .decided = {}};
  const std::string long_text(kOutcomeMessageBytesMax + 1, 'm');
  record.decided.push_back({8, {.status = common::OkStatus(), .revision = 3, .deleted = 2}});
  record.decided.push_back({9, {.status = common::Error(StatusCode::kNotFound, "{}", long_text)}});
  const auto decoded = DecodePublisher(EncodePublisher(record));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->seen_ms, 12);
  EXPECT_EQ(decoded->last_sequence, 9u);
  ASSERT_EQ(decoded->decided.size(), 2u);
  EXPECT_EQ(decoded->decided[0].sequence, 8u);
  EXPECT_TRUE(decoded->decided[0].outcome.status.ok());
  EXPECT_EQ(decoded->decided[0].outcome.revision, 3u);
  EXPECT_EQ(decoded->decided[0].outcome.deleted, 2u);
  EXPECT_EQ(decoded->decided[1].outcome.status.code(), StatusCode::kNotFound);
  EXPECT_EQ(decoded->decided[1].outcome.status.message().size(), kOutcomeMessageBytesMax);
}

TEST(LayoutTest, PublisherRefusesDamage) {
  PublisherRecord record{.seen_ms = 12, .last_sequence = 9, .decided = {}};
  const std::size_t without = EncodePublisher(record).size();
  record.decided.push_back({9, {}});
  const std::string bytes = EncodePublisher(record);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(DecodePublisher(bytes.substr(0, cut)).ok(), cut == without) << cut;
  }
  record.decided.resize(common::kPublisherResultsKept + 1);
  EXPECT_FALSE(DecodePublisher(EncodePublisher(record)).ok());
}

TEST(LayoutTest, DeclarationRoundTrip) {
  common::Dataset dataset{.name = "orders.shop",
                          .owner = "checkout.shop",
                          .consumers = {"*.shop", "billing.finance"},
                          .max_value_bytes = 4096};
  const DeclarationChange change{.kind = "Dataset",
                                 .name = "orders.shop",
                                 .object = dataset,
                                 .source = Source::kManifests,
                                 .origin = "orders.yaml"};
  const std::string key = DeclarationKey("Dataset", "orders.shop");
  const std::string bytes = EncodeDeclaration(change);
  const auto decoded = DecodeDeclaration(key, bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->kind, "Dataset");
  EXPECT_EQ(decoded->name, "orders.shop");
  EXPECT_EQ(decoded->source, Source::kManifests);
  EXPECT_EQ(decoded->origin, "orders.yaml");
  EXPECT_EQ(std::get<common::Dataset>(*decoded->object), dataset);

  EXPECT_FALSE(DecodeDeclaration("Dataset/other", bytes).ok());
  EXPECT_FALSE(DecodeDeclaration("Subscription/orders.shop", bytes).ok());
  EXPECT_FALSE(DecodeDeclaration("orders.shop", bytes).ok());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(DecodeDeclaration(key, bytes.substr(0, cut)).ok()) << cut;
  }
}

TEST(LayoutTest, SubscriptionRoundTrip) {
  common::Subscription subscription{
      .name = "billing-orders.finance",
      .service = "billing.finance",
      .collection = {.dataset = "orders.shop", .prefix = "eu-"},
      .mode = common::Mode::kReplicate,
      .consistency = {.level = common::ConsistencyLevel::kBounded,
                      .max_staleness = std::chrono::milliseconds(5000),
                      .on_stale = common::OnStale::kError}};
  const DeclarationChange change{.kind = "Subscription",
                                 .name = "billing-orders.finance",
                                 .object = subscription};
  const auto decoded = DecodeDeclaration(DeclarationKey("Subscription", change.name),
                                         EncodeDeclaration(change));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(std::get<common::Subscription>(*decoded->object), subscription);
}

}  // namespace
}  // namespace cp::layout
