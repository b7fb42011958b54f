#include "agent/cache/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "agent/cache/cache_fixture.h"
#include "common/limits.h"

namespace agent {
namespace {

constexpr common::Version kVersion{.epoch = 0xFFEEDDCCBBAA, .revision = 0x0102030405060708};

std::string Record(std::string_view key, const common::EntryView& entry) {
  std::string bytes;
  AppendEntryRecord(key, kVersion, entry, bytes);
  return bytes;
}

TEST(EntryRecordTest, RoundTrip) {
  const std::string big(common::kValueBytesMax, 'v');
  const std::string long_type(common::kContentTypeBytesMax, 't');
  const common::EntryView cases[] = {
      {.value = ""},
      {.value = "v", .published_at_ms = 1, .expires_at_ms = 2, .content_type = "text/plain"},
      {.value = big, .published_at_ms = INT64_MAX, .content_type = long_type},
  };
  for (const common::EntryView& want : cases) {
    const std::string bytes = Record("key", want);
    const std::optional<EntryRecord> got = VerifyEntryRecord("key", bytes);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->version, kVersion);
    EXPECT_EQ(got->hash, common::EntryHash("key", kVersion, want.value));
    EXPECT_EQ(got->entry.value, want.value);
    EXPECT_EQ(got->entry.content_type, want.content_type);
    EXPECT_EQ(got->entry.published_at_ms, want.published_at_ms);
    EXPECT_EQ(got->entry.expires_at_ms, want.expires_at_ms);
  }
}

// Goal: no bit of a record can change without notice, and no record passes under another key.
TEST(EntryRecordTest, AnyFlippedBitIsFound) {
  std::string bytes = Record("key", {.value = "value", .published_at_ms = 7, .content_type = "ct"});
  EXPECT_FALSE(VerifyEntryRecord("kez", bytes));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    SCOPED_TRACE(bit);
    const char mask = static_cast<char>(1 << bit % 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
    EXPECT_FALSE(VerifyEntryRecord("key", bytes));
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  }
  EXPECT_TRUE(VerifyEntryRecord("key", bytes));
}

TEST(EntryRecordTest, CutAnywhereIsFound) {
  const std::string bytes = Record("key", {.value = "value", .content_type = "ct"});
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(VerifyEntryRecord("key", std::string_view(bytes).substr(0, cut))) << cut;
  }
}

TEST(StagedChangeTest, RoundTripAndCuts) {
  const Change entry{.key = "key", .version = kVersion, .entry = common::EntryView{.value = "v"}};
  const Change removal{.key = "key", .version = kVersion, .entry = std::nullopt};
  for (const Change& change : {entry, removal}) {
    std::string bytes;
    AppendStagedChange(change, bytes);
    const std::optional<StagedChange> got = ParseStagedChange(bytes);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->key, "key");
    EXPECT_EQ(got->record.empty(), !change.entry);
    EXPECT_EQ(VerifyEntryRecord("key", got->record).has_value(), change.entry.has_value());
    const std::size_t whole = bytes.size();
    for (std::size_t cut = 0; cut < whole; ++cut) {
      const auto part = ParseStagedChange(std::string_view(bytes).substr(0, cut));
      EXPECT_TRUE(!part || !VerifyEntryRecord("key", part->record)) << cut;
    }
  }
  EXPECT_FALSE(ParseStagedChange(std::string("\2\1\0k", 4))) << "unknown kind";
  EXPECT_FALSE(ParseStagedChange(std::string("\0\0\0", 3))) << "no key";
  EXPECT_FALSE(ParseStagedChange(std::string("\0\1\0kx", 5))) << "a removal with a record";
}

TEST(StagingKeyTest, OrderIsByCopyThenOrdinal) {
  const std::string keys[] = {StagingKey(1, 0),          StagingKey(1, 1), StagingKey(1, 256),
                              StagingKey(1, UINT64_MAX), StagingKey(2, 0), StagingKey(256, 0)};
  EXPECT_TRUE(std::is_sorted(std::begin(keys), std::end(keys)));
}

CopyRecord FullRecord() {
  CopyRecord record;
  record.id = 7;
  record.collection = {.dataset = "prices", .prefix = std::string("eu\0-", 4)};
  record.denial = Denial::kNoPermission;
  Generation& ready = record.ready.emplace();
  ready.slot = common::kGenerationsMax - 1;
  ready.serial = UINT64_MAX;
  ready.at = kVersion;
  ready.entries = 1;
  ready.bytes = 2;
  ready.digest = {.low = UINT64_MAX, .high = 3};
  ready.greatest_key = std::string(common::kKeyBytesMax, '\xFF');
  record.loading.emplace().slot = 3;
  record.staged = 9;
  return record;
}

TEST(CopyRecordTest, RoundTrip) {
  CopyRecord bare;
  bare.collection.dataset = "d";
  for (const CopyRecord& want : {bare, FullRecord()}) {
    const std::optional<CopyRecord> got = ParseCopyRecord(CopyKey(want.id), EncodeCopyRecord(want));
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, want);
  }
}

TEST(CopyRecordTest, DamageIsFound) {
  std::string bytes = EncodeCopyRecord(FullRecord());
  const std::string key = CopyKey(7);
  EXPECT_FALSE(ParseCopyRecord("", bytes));
  EXPECT_FALSE(ParseCopyRecord("12345", bytes));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(ParseCopyRecord(key, std::string_view(bytes).substr(0, cut))) << cut;
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const char mask = static_cast<char>(1 << bit % 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
    EXPECT_FALSE(ParseCopyRecord(key, bytes)) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  }
}

TEST(LayoutTest, RandomBytesAreRefused) {
  std::mt19937_64 random(TestSeed());
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 100, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(VerifyEntryRecord("key", bytes));
    EXPECT_FALSE(ParseCopyRecord(CopyKey(1), bytes));
    (void)ParseStagedChange(bytes);
  }
}

}  // namespace
}  // namespace agent
