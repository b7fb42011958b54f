#include "control-plane/store/committer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "control-plane/store/check.h"
#include "control-plane/store/store_testing.h"
#include "control-plane/store/validate.h"
#include "tests/fakes/failing_store.h"

namespace cp {
namespace {

using common::StatusCode;
using testing::Del;
using testing::MakeBatch;
using testing::Put;
using Texts = std::vector<std::string>;

class Listener final : public CommitListener {
 public:
  void OnCommitted(const std::vector<std::string>& datasets, CatalogPtr catalog) override {
    ++calls;
    last_datasets = datasets;
    last_catalog = std::move(catalog);
  }
  int calls = 0;
  Texts last_datasets;
  CatalogPtr last_catalog;
};

class CommitterTest : public ::testing::Test {
 protected:
  CommitterTest() : inner_(testing::OpenStore(dir_.path())), store_(*inner_) {}
  void TearDown() override { EXPECT_TRUE(CheckLmdbStore(*inner_).ok()) << CheckLmdbStore(*inner_); }

  // Queued jobs answer into these, in order of answering.
  struct Answers {
    std::vector<std::vector<Outcome>> published;
    std::vector<common::StatusOr<Texts>> declared;
  };

  void QueuePublish(std::string service, std::string publisher, std::vector<Batch> batches) {
    queue_.push_back(PublishJob{.service = std::move(service),
                                .publisher_id = std::move(publisher),
                                .batches = std::move(batches),
                                .forget = false,
                                .done = [this](std::vector<Outcome> outcomes) {
                                  calls_seen_by_done_ = listener_.calls;
                                  answers_.published.push_back(std::move(outcomes));
                                }});
  }
  void QueueDeclare(std::vector<DeclarationChange> changes, bool dry_run = false) {
    queue_.push_back(DeclareJob{.changes = std::move(changes),
                                .dry_run = dry_run,
                                .done = [this](common::StatusOr<Texts> outcomes) {
                                  answers_.declared.push_back(std::move(outcomes));
                                }});
  }
  Answers CommitQueued() {
    answers_ = {};
    Committer::CommitOnce(std::exchange(queue_, {}), clock_, store_, listener_);
    return std::move(answers_);
  }
  common::StatusOr<Texts> Declare(std::vector<DeclarationChange> changes, bool dry_run = false) {
    QueueDeclare(std::move(changes), dry_run);
    return CommitQueued().declared.at(0);
  }

  testing::TestDir dir_;
  std::unique_ptr<LmdbStore> inner_;
  FailingStore store_;
  common::SystemClock clock_;
  Listener listener_;
  std::vector<CommitJob> queue_;
  Answers answers_;
  int calls_seen_by_done_ = 0;
};

DeclarationChange From(DeclarationChange change, Source source, std::string origin = {}) {
  change.source = source;
  change.origin = std::move(origin);
  return change;
}

TEST_F(CommitterTest, JobsOfAGroupSeeEarlierOnes) {
  QueuePublish("o", "p", {MakeBatch({}, 1, {Put("d", "a", "1")})});
  QueueDeclare({testing::DeclareDataset("d", "o")});
  QueuePublish("o", "p",
               {MakeBatch({}, 2, {Put("d", "a", "2"), Put("d", "b", "2")}),
                MakeBatch({}, 3, {Del("d", "a")})});
  QueuePublish("stranger", "s", {MakeBatch({}, 1, {Put("d", "a", "3")})});
  const Answers answers = CommitQueued();
  EXPECT_EQ(store_.commits(), 1u);
  ASSERT_EQ(answers.published.size(), 3u);
  EXPECT_EQ(answers.published[0].at(0).status.code(), StatusCode::kNotFound);
  EXPECT_TRUE(answers.published[1].at(0).status.ok());
  EXPECT_EQ(answers.published[1].at(1).revision, answers.published[1].at(0).revision + 1);
  EXPECT_EQ(answers.published[1].at(1).deleted, 1u);
  EXPECT_EQ(answers.published[2].at(0).status.code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(*answers.declared.at(0), Texts{"created"});
  EXPECT_EQ(listener_.last_datasets, Texts{"d"});
  ASSERT_NE(listener_.last_catalog, nullptr);
  EXPECT_NE(listener_.last_catalog->FindDataset("d"), nullptr);
  EXPECT_EQ(calls_seen_by_done_, 1);  // the listener knows before the publisher does
}

TEST_F(CommitterTest, NamesOnlyDatasetsThatMoved) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o"), testing::DeclareDataset("e", "o")}).ok());
  QueuePublish("o", "p",
               {MakeBatch({}, 1, {Put("d", "a", "1")}), MakeBatch({}, 2, {Put("d", "b", "1")}),
                MakeBatch({}, 3, {Del("e", "a")})});
  CommitQueued();
  EXPECT_EQ(listener_.last_datasets, Texts{"d"});
  EXPECT_EQ(listener_.last_catalog, nullptr);
  QueuePublish("o", "p", {MakeBatch({}, 2, {Put("d", "b", "1")})});  // a retry
  CommitQueued();
  EXPECT_EQ(listener_.last_datasets, Texts());
}

TEST_F(CommitterTest, SaysWhatBecameOfDeclarations) {
  const auto d = testing::DeclareDataset("d", "o");
  EXPECT_EQ(*Declare({d}), Texts{"created"});
  EXPECT_EQ(*Declare({d, testing::DeclareDataset("e", "o")}), (Texts{"unchanged", "created"}));
  const std::uint64_t commits = store_.commits();
  EXPECT_EQ(*Declare({d}), Texts{"unchanged"});
  EXPECT_EQ(store_.commits(), commits);  // nothing to store
  EXPECT_EQ(*Declare({testing::DeclareDataset("d", "new-owner")}), Texts{"configured"});
  EXPECT_EQ(store_.catalog()->FindDataset("d")->owner, "new-owner");
  EXPECT_EQ(*Declare({testing::WithdrawDataset("d")}), Texts{"deleted"});
  EXPECT_EQ(store_.catalog()->FindDataset("d"), nullptr);
  EXPECT_EQ(Declare({testing::WithdrawDataset("d")}).status().code(), StatusCode::kNotFound);
}

TEST_F(CommitterTest, ADryRunChangesNothing) {
  EXPECT_EQ(*Declare({testing::DeclareDataset("d", "o")}, /*dry_run=*/true), Texts{"created"});
  EXPECT_EQ(store_.catalog()->FindDataset("d"), nullptr);
  EXPECT_EQ(store_.commits(), 0u);
  EXPECT_EQ(listener_.calls, 0);
}

TEST_F(CommitterTest, AnObjectChangesOnlyWhereItCameFrom) {
  const auto d = testing::DeclareDataset("d", "o");
  ASSERT_TRUE(Declare({From(d, Source::kManifests, "orders.yaml")}).ok());
  ASSERT_TRUE(Declare({testing::DeclareDataset("e", "o")}).ok());
  struct Case {
    const char* what;
    DeclarationChange change;
    const char* named;
  };
  for (const Case& c :
       {Case{"API changes a manifest's", testing::DeclareDataset("d", "x"), "orders.yaml"},
        Case{"API repeats a manifest's", d, "orders.yaml"},
        Case{"API withdraws a manifest's", testing::WithdrawDataset("d"), "orders.yaml"},
        Case{"manifest changes the API's",
             From(testing::DeclareDataset("e", "x"), Source::kManifests, "e.yaml"), "the API"}}) {
    SCOPED_TRACE(c.what);
    const auto refused = Declare({testing::DeclareDataset("other", "o"), c.change});
    EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition) << refused.status();
    EXPECT_NE(refused.status().ToString().find(c.named), std::string::npos) << refused.status();
    EXPECT_EQ(store_.catalog()->FindDataset("other"), nullptr);  // nothing half applied
  }
  // The same object from another file: stored, since messages name the file.
  EXPECT_EQ(*Declare({From(d, Source::kManifests, "moved.yaml")}), Texts{"unchanged"});
  EXPECT_EQ(store_.catalog()->datasets.at("d").origin, "moved.yaml");
}

TEST_F(CommitterTest, ARefusedDeclarationHarmsNoOtherJob) {
  QueueDeclare({testing::DeclareDataset("d", "o")});
  QueueDeclare({testing::DeclareDataset("e", "o"), testing::WithdrawDataset("nope")});
  QueuePublish("o", "p", {MakeBatch({}, 1, {Put("d", "a", "1")})});
  const Answers answers = CommitQueued();
  EXPECT_TRUE(answers.declared.at(0).ok());
  EXPECT_EQ(answers.declared.at(1).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(answers.published.at(0).at(0).status.ok());
  EXPECT_EQ(store_.catalog()->FindDataset("e"), nullptr);
}

TEST_F(CommitterTest, AFailedCommitFailsEveryJobAndCanBeTriedAgain) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o")}).ok());
  const int calls = listener_.calls;
  store_.FailCommit(1, absl::ResourceExhaustedError("disk full"));
  const std::vector<Batch> batches = {MakeBatch({}, 1, {Put("d", "a", "1")}),
                                      MakeBatch({}, 2, {Put("d", "b", "1")})};
  QueuePublish("o", "p", batches);
  QueueDeclare({testing::DeclareDataset("e", "o")});
  const Answers failed = CommitQueued();
  ASSERT_EQ(failed.published.at(0).size(), 2u);
  for (const Outcome& outcome : failed.published[0]) {
    EXPECT_EQ(outcome.status.code(), StatusCode::kResourceExhausted);
    EXPECT_FALSE(outcome.changed);
  }
  EXPECT_EQ(failed.declared.at(0).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(listener_.calls, calls);

  QueuePublish("o", "p", batches);
  EXPECT_TRUE(CommitQueued().published.at(0).at(1).changed);
}

// Goal: a full store can be emptied while others go on trying to fill it.
TEST_F(CommitterTest, AFullStoreTakesRemovalsAlone) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o")}).ok());
  QueuePublish("o", "p", {MakeBatch({}, 1, {Put("d", "a", "1"), Put("d", "b", "1")})});
  CommitQueued();
  store_.FailCommit(1, absl::ResourceExhaustedError("full"));
  QueuePublish("o", "p",
               {MakeBatch({}, 2, {Put("d", "c", "1")}), MakeBatch({}, 3, {Del("d", "b")})});
  QueuePublish("o", "q", {MakeBatch({}, 1, {Del("d", "a")}), MakeBatch({}, 2, {Del("d", "x")})});
  QueueDeclare({testing::DeclareDataset("e", "o")});
  const Answers answers = CommitQueued();
  EXPECT_EQ(answers.published.at(0).at(0).status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(answers.published[0].at(1).status.code(), StatusCode::kResourceExhausted)
      << "not before the batch that it follows";
  EXPECT_EQ(answers.published.at(1).at(0).deleted, 1u);
  EXPECT_TRUE(answers.published[1].at(1).status.ok());
  EXPECT_EQ(answers.declared.at(0).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(listener_.last_datasets, Texts{"d"});
  EXPECT_EQ(store_.catalog()->FindDataset("e"), nullptr);
  QueuePublish("o", "p",
               {MakeBatch({}, 2, {Put("d", "c", "1")}), MakeBatch({}, 3, {Del("d", "b")})});
  const Answers again = CommitQueued();
  EXPECT_TRUE(again.published.at(0).at(0).changed);
  EXPECT_EQ(again.published[0].at(1).deleted, 1u);
}

TEST_F(CommitterTest, ForgetsAPublisherAfterItsLastBatches) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o")}).ok());
  QueuePublish("o", "p", {MakeBatch({}, 1, {Put("d", "a", "1")})});
  std::get<PublishJob>(queue_.back()).forget = true;
  EXPECT_TRUE(CommitQueued().published.at(0).at(0).changed);
  EXPECT_EQ(*store_.LastSequence(PublisherKey("o", "p")), 0u);
}

TEST_F(CommitterTest, APublisherIdBelongsToTheServiceThatUsesIt) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o"), testing::DeclareDataset("e", "x")}).ok());
  QueuePublish("o", "p", {MakeBatch({}, 1, {Put("d", "a", "1")})});
  EXPECT_TRUE(CommitQueued().published.at(0).at(0).changed);

  // Another service with the same id: a batch of its own, neither taken for a retry nor refused.
  QueuePublish("x", "p", {MakeBatch({}, 1, {Put("e", "a", "1")})});
  std::get<PublishJob>(queue_.back()).forget = true;
  EXPECT_TRUE(CommitQueued().published.at(0).at(0).changed);

  // And what it had forgotten was its own.
  QueuePublish("o", "p", {MakeBatch({}, 1, {Put("d", "a", "1")})});
  const Outcome retry = CommitQueued().published.at(0).at(0);
  EXPECT_TRUE(retry.status.ok());
  EXPECT_FALSE(retry.changed);
}

// Goal: every job is answered once, whoever submits, also those that wait when it shuts down.
TEST_F(CommitterTest, AnswersEverythingFromManyThreads) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o")}).ok());
  constexpr std::uint64_t kThreads = 4, kJobs = 200;
  std::atomic<std::uint64_t> answered = 0;
  {
    Committer committer({}, clock_, store_, listener_);
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 1; i <= kJobs; ++i) {
          const std::string publisher = fmt::format("p{}", t);
          PublishJob job{.service = "o",
                         .publisher_id = publisher,
                         .batches = {MakeBatch({}, i, {Put("d", fmt::format("{}:{}", t, i), "v")})},
                         .forget = false,
                         .done = [&](std::vector<Outcome> outcomes) {
                           answered += outcomes.at(0).changed ? 1 : 0;
                         }};
          ASSERT_TRUE(committer.Submit(std::move(job)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(answered, kThreads * kJobs);
  EXPECT_EQ((*(*store_.OpenView())->Dataset("d"))->entries, kThreads * kJobs);
}

TEST_F(CommitterTest, RefusesWhatItCannotHold) {
  ASSERT_TRUE(Declare({testing::DeclareDataset("d", "o")}).ok());
  std::latch answered(2);
  Committer committer({.waiting_bytes_max = 1000}, clock_, store_, listener_);
  const auto job = [&answered](std::uint64_t sequence, std::size_t bytes) {
    return PublishJob{
        .service = "o",
        .publisher_id = "p",
        .batches = {MakeBatch({}, sequence, {Put("d", "k", std::string(bytes, 'v'))})},
        .forget = false,
        .done = [&answered](std::vector<Outcome> outcomes) {
          EXPECT_TRUE(outcomes.at(0).status.ok());
          answered.count_down();
        }};
  };
  EXPECT_FALSE(committer.Submit(job(1, 1000)));  // with its key one byte too many
  EXPECT_TRUE(committer.Submit(job(1, 400)));
  EXPECT_TRUE(committer.Submit(job(2, 400)));
  answered.wait();
}

}  // namespace
}  // namespace cp
