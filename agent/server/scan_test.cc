// SCAN: complete and stable while entries come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "agent/server/scan_cursors.h"
#include "agent/server/session_fixture.h"

namespace agent {
namespace {

using testing::StartsWith;

struct Page {
  std::string cursor;
  std::vector<std::string> keys;
};

// Takes "*2\r\n$n\r\n<cursor>\r\n*k\r\n$n\r\n<key>\r\n…" apart.
Page ParsePage(const std::string& reply) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < reply.size();) {
    const std::size_t end = reply.find("\r\n", at);
    lines.push_back(reply.substr(at, end - at));
    at = end + 2;
  }
  Page page;
  if (lines.size() < 4) return page;
  page.cursor = lines[2];
  for (std::size_t i = 5; i < lines.size(); i += 2) page.keys.push_back(lines[i]);
  return page;
}

class ScanTest : public SessionFixture {
 protected:
  std::vector<std::string> ScanAll(const std::string& options) {
    std::vector<std::string> keys;
    std::string cursor = "0";
    do {
      const std::string reply = Send("SCAN " + cursor + " " + options + "\r\n");
      EXPECT_THAT(reply, StartsWith("*2\r\n"));
      const Page page = ParsePage(reply);
      keys.insert(keys.end(), page.keys.begin(), page.keys.end());
      cursor = page.cursor;
    } while (cursor != "0" && !cursor.empty());
    return keys;
  }
};

TEST_F(ScanTest, WalksAllDatasetsInOrderAtAnyPageSize) {
  Load("b", {"1", "2", "3"});
  Load("a.x", {"1", "2"});
  Load("c", {});
  Load("d", {"1"});
  const std::vector<std::string> want = {"a.x/1", "a.x/2", "b/1", "b/2", "b/3", "d/1"};
  for (const char* count : {"1", "2", "3", "5", "6", "100"}) {
    EXPECT_EQ(ScanAll(std::string("COUNT ") + count), want) << count;
  }
  EXPECT_EQ(ScanAll("COUNT 1 MATCH *1"), (std::vector<std::string>{"a.x/1", "b/1", "d/1"}));
  EXPECT_EQ(ScanAll("COUNT 1 MATCH b*"), (std::vector<std::string>{"b/1", "b/2", "b/3"}));
  EXPECT_EQ(ScanAll("COUNT 1 MATCH b/2*"), (std::vector<std::string>{"b/2"}));
}

TEST_F(ScanTest, ADatasetThatIsLoadingStopsTheWalkWithAnError) {
  Load("a", {"1", "2"});
  Load("c", {"1"});
  ASSERT_EQ(writer_->Add({.dataset = "b", .prefix = ""}), common::OkStatus());
  const Page page = ParsePage(Send("SCAN 0 COUNT 100\r\n"));
  EXPECT_EQ(page.keys, (std::vector<std::string>{"a/1", "a/2"}));
  EXPECT_THAT(Send("SCAN " + page.cursor + "\r\n"), StartsWith("-LOADING dataset b "));
  // Once it is there the same cursor goes on.
  Changes changes;
  changes.Put("9", At(11), "x");
  LoadCopy({.dataset = "b", .prefix = ""}, changes, 11);
  EXPECT_EQ(ParsePage(Send("SCAN " + page.cursor + "\r\n")).keys,
            (std::vector<std::string>{"b/9", "c/1"}));
}

TEST_F(ScanTest, DeniedDatasetsArePassedOver) {
  Load("a", {"1"});
  ASSERT_EQ(writer_->Add({.dataset = "b", .prefix = ""}), common::OkStatus());
  ASSERT_EQ(writer_->Deny({.dataset = "b", .prefix = ""}, Denial::kNoPermission),
            common::OkStatus());
  EXPECT_EQ(ScanAll(""), (std::vector<std::string>{"a/1"}));
  EXPECT_THAT(Send("SCAN 0 MATCH b/*\r\n"), StartsWith("-NOPERM "));
}

TEST_F(ScanTest, ACursorMayBeUsedTwice) {
  Load("a", {"1", "2", "3", "4"});
  const Page first = ParsePage(Send("SCAN 0 COUNT 2\r\n"));
  const std::string again = Send("SCAN " + first.cursor + " COUNT 1\r\n");
  EXPECT_EQ(Send("SCAN " + first.cursor + " COUNT 1\r\n"), again);
  EXPECT_EQ(ParsePage(again).keys, (std::vector<std::string>{"a/3"}));
}

// Model: keys that are there from the first to the last page are all returned; nothing is returned
// that was never there.
TEST_F(ScanTest, KeysPresentThroughoutAreReturnedUnderChange) {
  const std::uint64_t seed = TestSeed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    const std::string dataset = "r" + std::to_string(round);
    std::set<std::string> now;
    Changes initial;
    for (std::uint64_t i = random() % 60; i > 0; --i) now.insert(std::to_string(random() % 100));
    for (const std::string& key : now) initial.Put(key, At(revision_), "x");
    LoadCopy({.dataset = dataset, .prefix = ""}, initial, revision_);
    std::set<std::string> throughout = now;
    std::set<std::string> ever = now;
    std::set<std::string> returned;
    std::string cursor = "0";
    do {
      const Page page =
          ParsePage(Send("SCAN " + cursor + " COUNT " + std::to_string(1 + random() % 7) +
                         " MATCH " + dataset + "/*\r\n"));
      for (const std::string& key : page.keys) returned.insert(key.substr(dataset.size() + 1));
      cursor = page.cursor;
      ASSERT_NE(cursor, "");
      Changes changes;
      const common::Version version = At(++revision_);
      for (std::uint64_t i = random() % 5; i > 0; --i) {
        const std::string key = std::to_string(random() % 100);
        if (random() % 2 == 0) {
          changes.Put(key, version, "y");
          now.insert(key);
          ever.insert(key);
        } else if (now.erase(key) > 0) {
          changes.Remove(key, version);
          throughout.erase(key);
        }
      }
      ASSERT_EQ(writer_->Apply({.dataset = dataset, .prefix = ""}, changes.Views(), version),
                common::OkStatus());
    } while (cursor != "0");
    for (const std::string& key : throughout) EXPECT_TRUE(returned.contains(key)) << seed;
    for (const std::string& key : returned) EXPECT_TRUE(ever.contains(key)) << seed;
  }
}

TEST(ScanCursorsTest, SamePositionSameIdAndTheOldestGoesFirst) {
  ScanCursors cursors(/*cursors_max=*/2, /*seed=*/1);
  const std::uint64_t a = cursors.IdFor({"ds", "a"});
  const std::uint64_t b = cursors.IdFor({"ds", "b"});
  EXPECT_NE(a, b);
  EXPECT_EQ(cursors.IdFor({"ds", "a"}), a);  // now b is the oldest
  const std::uint64_t c = cursors.IdFor({"ds", "c"});
  EXPECT_EQ(cursors.size(), 2u);
  EXPECT_FALSE(cursors.Find(b).has_value());
  EXPECT_EQ(cursors.Find(a)->key, "a");
  EXPECT_EQ(cursors.Find(c)->key, "c");
  EXPECT_FALSE(cursors.Find(0).has_value());
}

TEST(ScanCursorsTest, IdsFitIntoADoubleAndAreNeverTheEnd) {
  ScanCursors cursors(1000, 2);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t id = cursors.IdFor({"ds", std::to_string(i)});
    EXPECT_GT(id, 0u);
    EXPECT_LT(id, 1ULL << 53);
  }
  EXPECT_EQ(cursors.size(), 1000u);
}

}  // namespace
}  // namespace agent
