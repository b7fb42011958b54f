// The small protocol objects of a stream: AckWindow, NameQueue, CollectionFeed, WatchIndex.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control-plane/fanout/ack_window.h"
#include "control-plane/fanout/collection_feed.h"
#include "control-plane/fanout/name_queue.h"
#include "control-plane/fanout/watch_index.h"

namespace cp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Phase = CollectionFeed::Phase;
using Why = NameQueue::Why;

SentResponse Sent(std::uint64_t nonce, std::size_t bytes) {
  SentResponse response;
  response.nonce = nonce;
  response.bytes = bytes;
  return response;
}

TEST(AckWindowTest, AnAnswerCoversWhatWasSentBefore) {
  AckWindow window;
  for (const std::uint64_t nonce : {3u, 5u, 9u}) window.Add(Sent(nonce, 100));
  EXPECT_GE(window.bytes(), 300u);
  for (const std::uint64_t stale : {0u, 2u, 4u, 10u}) EXPECT_THAT(window.Take(stale), IsEmpty());
  EXPECT_EQ(window.size(), 3u);
  const std::vector<SentResponse> taken = window.Take(5);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].nonce, 3u);
  EXPECT_EQ(taken[1].nonce, 5u);
  EXPECT_THAT(window.Take(5), IsEmpty()) << "answered before";
  EXPECT_EQ(window.Take(9).size(), 1u);
  EXPECT_EQ(window.bytes(), 0u);
}

TEST(AckWindowTest, SmallResponsesWeighTheirRecord) {
  AckWindow window;
  for (std::uint64_t nonce = 1; nonce <= 1000; ++nonce) window.Add(Sent(nonce, 1));
  EXPECT_GE(window.bytes(), 1000u * sizeof(SentResponse));
  window.Clear();
  EXPECT_EQ(window.bytes(), 0u);
}

std::vector<std::string> Drain(NameQueue& queue) {
  std::vector<std::string> names;
  while (const auto item = queue.Take()) names.push_back(item->name);
  return names;
}

// Goal: the answer to a question proves that what had changed before it has been told.
TEST(NameQueueTest, EachNameOnceAndAQuestionBehindWhatHadChanged) {
  NameQueue queue;
  queue.Add("changed", Why::kChanged);
  queue.Add("both", Why::kChanged);
  queue.Add("asked", Why::kAsked);
  queue.Add("both", Why::kAsked);
  queue.Add("asked", Why::kChanged);
  queue.Add("changed", Why::kChanged);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_THAT(Drain(queue), ElementsAre("changed", "asked", "both"));
  EXPECT_TRUE(queue.empty());
}

TEST(NameQueueTest, ReturnKeepsThePlaceAndDropForgets) {
  NameQueue queue;
  for (const char* name : {"a", "b", "c"}) queue.Add(name, Why::kAsked);
  queue.Return(*queue.Take());
  queue.Drop("b");
  queue.Drop("unknown");
  EXPECT_THAT(Drain(queue), ElementsAre("a", "c"));
  // Memory does not grow with churn.
  for (int i = 0; i < 1000; ++i) {
    queue.Add("x", Why::kAsked);
    queue.Drop("x");
  }
  EXPECT_EQ(queue.size(), 0u);
}

TEST(NameQueueTest, RetryHalvesUntilTheCulpritIsAlone) {
  NameQueue queue;
  const common::MonotonicTime now{std::chrono::seconds(1)};
  ASSERT_TRUE(queue.Retry({.names = {"a", "b", "c"}}, now));
  EXPECT_FALSE(queue.empty());
  EXPECT_FALSE(queue.TakeGroup(now)) << "not at once";
  const common::MonotonicTime due = *queue.NextGroup();
  EXPECT_LE(due, now + common::kRejectedBackoffMin);
  EXPECT_THAT(queue.TakeGroup(due)->names, ElementsAre("a"));
  const NameQueue::Group half = *queue.TakeGroup(due);
  EXPECT_THAT(half.names, ElementsAre("b", "c"));
  EXPECT_EQ(half.halvings, 1);
  ASSERT_TRUE(queue.Retry({.names = {"alone"}, .halvings = 2}, now));
  EXPECT_FALSE(queue.NextGroup());
  EXPECT_TRUE(queue.empty());
}

TEST(NameQueueTest, RetriesComeLaterEachTimeUpToACap) {
  NameQueue queue;
  const common::MonotonicTime now{std::chrono::seconds(1)};
  common::Millis before{0};
  for (int halvings = 0; halvings < 40; ++halvings) {
    ASSERT_TRUE(queue.Retry({.names = {"a", "b"}, .halvings = halvings}, now));
    const auto delay = *queue.NextGroup() - now;
    EXPECT_GE(delay * 2 + common::Millis(1), before) << halvings;
    EXPECT_LE(delay, common::kRejectedBackoffMax);
    before = std::chrono::duration_cast<common::Millis>(delay);
    while (queue.TakeGroup(now + common::kRejectedBackoffMax)) continue;
  }
  EXPECT_GE(before, common::kRejectedBackoffMax / 2);
}

TEST(NameQueueTest, RejectedNamesThatWaitAreBounded) {
  NameQueue queue;
  const std::vector<std::string> names(common::kRejectedNamesMax / 2, "name");
  EXPECT_TRUE(queue.Retry({.names = names}, {}));
  EXPECT_TRUE(queue.Retry({.names = names}, {}));
  EXPECT_FALSE(queue.Retry({.names = {"a", "b"}}, {}));
}

DatasetState State(Revision head, Revision floor) {
  DatasetState state;
  state.head = head;
  state.floor = floor;
  return state;
}

TEST(CollectionFeedTest, ChoosesHowToStart) {
  struct Case {
    const char* what;
    bool markers;
    std::optional<common::Cursor> cursor;
    Phase phase;
    Revision revision;
  };
  const auto cursor = [](Epoch epoch, Revision revision) {
    return common::Cursor{.epoch = epoch, .revision = revision};
  };
  common::Cursor partial = cursor(1, 7);
  partial.last_key = "k";
  for (const Case& c : {
           Case{"no cursor", true, {}, Phase::kBegin, 10},
           Case{"no cursor, no markers", false, {}, Phase::kLoad, 10},
           Case{"at the floor", true, cursor(1, 5), Phase::kFollow, 5},
           Case{"at the head", true, cursor(1, 10), Phase::kFollow, 10},
           Case{"below the floor", true, cursor(1, 4), Phase::kBegin, 10},
           Case{"ahead", true, cursor(1, 11), Phase::kBegin, 10},
           Case{"other epoch", true, cursor(2, 7), Phase::kBegin, 10},
           Case{"partial load", true, partial, Phase::kLoad, 7},
       }) {
    SCOPED_TRACE(c.what);
    CollectionFeed feed({.dataset = "d", .prefix = {}}, c.markers);
    EXPECT_FALSE(feed.HasWork());
    feed.Start(1, State(10, 5), c.cursor);
    EXPECT_EQ(feed.phase(), c.phase);
    EXPECT_EQ(feed.position(), EndOf(c.revision));
    EXPECT_EQ(feed.last_key(), c.phase == Phase::kLoad && c.cursor ? "k" : "");
    EXPECT_TRUE(feed.HasWork());
    EXPECT_TRUE(feed.bulk());
  }
}

TEST(CollectionFeedTest, GoesFromBeginToLive) {
  CollectionFeed feed({.dataset = "d", .prefix = {}}, /*markers=*/true);
  feed.Start(1, State(10, 5), {});
  feed.BeginSent();
  feed.LoadSent("m", false);
  EXPECT_EQ(feed.last_key(), "m");
  feed.LoadSent("z", true);
  EXPECT_EQ(feed.phase(), Phase::kFollow);
  EXPECT_EQ(feed.position(), EndOf(10));
  EXPECT_TRUE(feed.owes_marker());
  feed.ChangesSent({.revision = 12, .ordinal = 3}, false, 15);
  EXPECT_TRUE(feed.owes_marker());
  EXPECT_FALSE(feed.BelowFloor(11));
  EXPECT_TRUE(feed.BelowFloor(12)) << "later writes of commit 12 may be lost";
  feed.ChangesSent({.revision = 15, .ordinal = 0}, true, 15);
  EXPECT_TRUE(feed.caught_up());
  EXPECT_FALSE(feed.HasWork());
  feed.Touch();
  EXPECT_TRUE(feed.HasWork());
  EXPECT_FALSE(feed.bulk()) << "a live change does not wait for loads";
  EXPECT_FALSE(feed.owes_marker());
}

TEST(CollectionFeedTest, LosingAccessListsRemovalsOnlyWhereNoMarkerTells) {
  for (const bool markers : {false, true}) {
    CollectionFeed feed({.dataset = "d", .prefix = {}}, markers);
    feed.Deny(common::StatusCode::kNotFound);
    EXPECT_EQ(feed.phase(), Phase::kDenied) << "nothing was served";
    feed.Start(1, State(10, 5), {});
    EXPECT_EQ(feed.denied, common::StatusCode::kOk);
    feed.Deny(common::StatusCode::kPermissionDenied);
    EXPECT_EQ(feed.phase(), markers ? Phase::kDenied : Phase::kRetract);
    if (!markers) feed.LoadSent("z", true);
    EXPECT_EQ(feed.phase(), Phase::kDenied);
    EXPECT_FALSE(feed.HasWork());
  }
}

std::vector<StreamId> Watching(const WatchIndex& index, std::string_view dataset) {
  std::vector<StreamId> streams;
  index.ForEach(dataset, [&streams](StreamId stream) { streams.push_back(stream); });
  return streams;
}

TEST(WatchIndexTest, CountsWatchesAndForgets) {
  WatchIndex index;
  index.Watch("d", 1);
  index.Watch("d", 1);
  index.Watch("d", 2);
  index.Watch(WatchIndex::kEvery, 3);
  EXPECT_THAT(Watching(index, "d"), ElementsAre(1, 2, 3));
  EXPECT_THAT(Watching(index, "other"), ElementsAre(3));
  index.Unwatch("d", 1);
  EXPECT_THAT(Watching(index, "d"), ElementsAre(1, 2, 3));
  index.Unwatch("d", 1);
  index.Unwatch("d", 2);
  index.Unwatch(WatchIndex::kEvery, 3);
  EXPECT_TRUE(index.empty());
}

TEST(WatchIndexTest, KeysOfADataset) {
  WatchIndex index;
  EXPECT_TRUE(index.WatchKey("d", "k", 1, 7));
  EXPECT_FALSE(index.WatchKey("d", "k", 1, 9)) << "watched already";
  EXPECT_TRUE(index.WatchKey("d", "k", 2, 9));
  EXPECT_EQ(index.FindKeys("d")->scanned, EndOf(7)) << "never skips a change";
  EXPECT_EQ(index.FindKeys("e"), nullptr);
  EXPECT_TRUE(index.UnwatchKey("d", "k", 1));
  EXPECT_FALSE(index.UnwatchKey("d", "k", 1));
  EXPECT_FALSE(index.UnwatchKey("d", "other", 2));
  EXPECT_TRUE(index.UnwatchKey("d", "k", 2));
  EXPECT_TRUE(index.empty());
}

}  // namespace
}  // namespace cp
