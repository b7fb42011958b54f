#include "control-plane/store/committer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "control-plane/store/declare.h"
#include "control-plane/store/validate.h"

namespace cp {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kCompactInterval{1000};
constexpr milliseconds kCompactPauseIdle{10};  // between steps while there is more to do
constexpr milliseconds kCompactPauseBusy{200};
// Entries that expire at much the same time become tombstones together. Nobody reads them
// meanwhile: whoever serves entries goes by their time (docs/consistency.md).
constexpr milliseconds kExpiryPause{50};
constexpr milliseconds kExpiryRetry{1000};
constexpr std::size_t kCompactBudget = 2000;

std::size_t JobBatches(const CommitJob& job) {
  const auto* const publish = std::get_if<PublishJob>(&job);
  return publish == nullptr ? 1 : publish->batches.size();
}

std::size_t JobBytes(const CommitJob& job) {
  const auto* const publish = std::get_if<PublishJob>(&job);
  if (publish == nullptr) return 0;
  std::size_t bytes = 0;
  for (const Batch& batch : publish->batches) bytes += BatchBytes(batch);
  return bytes;
}

// A group in the making, and whose batches are where in it.
class GroupBuilder {
 public:
  GroupBuilder(CatalogPtr catalog, std::int64_t now_ms) : catalog_(std::move(catalog)) {
    group_.now_ms = now_ms;
  }

  void Add(PublishJob& job) {
    for (Batch& batch : job.batches) {
      batch.publisher_id = job.publisher_id;
      if (batch.refused.ok()) batch.refused = ValidateBatch(*catalog_, job.service, batch);
      batch.publisher_id = PublisherKey(job.service, job.publisher_id);
      batch.settled = job.settled;
      group_.batches.push_back(std::move(batch));
    }
    if (job.forget) group_.forget_publishers.push_back(PublisherKey(job.service, job.publisher_id));
  }

  // What the job gets to hear once the group is durable.
  common::StatusOr<std::vector<std::string>> Add(DeclareJob& job) {
    auto next = std::make_shared<Catalog>(*catalog_);
    ASSIGN_OR_RETURN(DeclarationPlan plan, PlanDeclarations(*next, std::move(job.changes)));
    if (job.dry_run || plan.changes.empty()) return std::move(plan.outcomes);
    catalog_ = std::move(next);
    std::ranges::move(plan.changes, std::back_inserter(group_.declarations));
    return std::move(plan.outcomes);
  }

  const Group& group() const { return group_; }
  bool IsEmpty() const {
    return group_.batches.empty() && group_.declarations.empty() &&
           group_.forget_publishers.empty();
  }

 private:
  CatalogPtr catalog_;  // with the declarations so far
  Group group_;
};

std::vector<std::string> ChangedDatasets(const Group& group, const std::vector<Outcome>& outcomes) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i].changed) continue;
    for (const Write& write : group.batches[i].writes) names.insert(write.dataset);
  }
  return {names.begin(), names.end()};
}

using DeclareResult = common::StatusOr<std::vector<std::string>>;

void Answer(std::vector<CommitJob>& jobs, const std::vector<DeclareResult>& declared,
            std::vector<Outcome> outcomes) {
  auto outcome = std::make_move_iterator(outcomes.begin());
  auto answer = declared.begin();
  for (CommitJob& job : jobs) {
    if (auto* const publish = std::get_if<PublishJob>(&job)) {
      const auto count = static_cast<std::ptrdiff_t>(publish->batches.size());
      publish->done({outcome, outcome + count});
      outcome += count;
    } else {
      std::get<DeclareJob>(job).done(*answer++);
    }
  }
}

// Indices of the batches that only remove and whose publishers do nothing else in the group: they
// may be decided without what came before them.
std::vector<std::size_t> RemovalsOf(const Group& group) {
  std::set<std::string_view> writers;
  for (const Batch& batch : group.batches) {
    if (!OnlyRemoves(batch)) writers.insert(batch.publisher_id);
  }
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < group.batches.size(); ++i) {
    if (!writers.contains(group.batches[i].publisher_id)) indices.push_back(i);
  }
  return indices;
}

// A store that is full, `why`, can still be emptied while others go on trying to fill it.
common::StatusOr<std::vector<Outcome>> CommitRemovals(const Group& group, Store& store,
                                                      const common::Status& why) {
  const std::vector<std::size_t> indices = RemovalsOf(group);
  const bool all = indices.size() == group.batches.size() && group.declarations.empty();
  if (indices.empty() || all) return why;
  Group removals;
  removals.now_ms = group.now_ms;
  for (const std::size_t i : indices) removals.batches.push_back(group.batches[i]);
  ASSIGN_OR_RETURN(std::vector<Outcome> decided, store.Commit(removals));
  std::vector<Outcome> outcomes(group.batches.size(), Outcome{.status = why});
  for (std::size_t i = 0; i < indices.size(); ++i) outcomes[indices[i]] = std::move(decided[i]);
  return outcomes;
}

void AnswerAll(std::vector<CommitJob>& jobs, const common::Status& failure) {
  for (CommitJob& job : jobs) {
    if (auto* const publish = std::get_if<PublishJob>(&job)) {
      publish->done(std::vector<Outcome>(publish->batches.size(), Outcome{.status = failure}));
    } else {
      std::get<DeclareJob>(job).done(failure);
    }
  }
}

}  // namespace

Committer::Committer(CommitterOptions options, const common::Clock& clock, Store& store,
                     CommitListener& listener)
    : options_(options),
      clock_(clock),
      store_(store),
      listener_(listener),
      mailbox_(options.jobs_max),
      thread_("committer", [this] { Run(); }) {}

Committer::~Committer() { mailbox_.Close(); }

bool Committer::Submit(CommitJob job) {
  const std::size_t bytes = JobBytes(job);
  if (waiting_bytes_.fetch_add(bytes) + bytes <= options_.waiting_bytes_max &&
      mailbox_.Post(std::move(job))) {
    return true;
  }
  waiting_bytes_.fetch_sub(bytes);
  return false;
}

void Committer::Run() {
  common::MonotonicTime compact_at = clock_.Now() + kCompactInterval;
  common::MonotonicTime expire_at = clock_.Now();  // not before
  while (true) {
    const common::MonotonicTime now = clock_.Now();
    const auto wait = std::min<std::chrono::nanoseconds>(
        compact_at - now, std::max<std::chrono::nanoseconds>(expire_at - now, UntilExpiry()));
    std::vector<CommitJob> jobs = mailbox_.WaitAll(std::max(wait, std::chrono::nanoseconds(0)));
    const bool busy = !jobs.empty();
    if (busy) CommitAll(std::move(jobs));
    if (!busy && mailbox_.closed()) return;
    if (clock_.Now() >= expire_at && UntilExpiry() <= milliseconds(0)) {
      const bool done = ExpireOnce(clock_, store_, listener_);
      expire_at = clock_.Now() + (done ? kExpiryPause : kExpiryRetry);
    }
    if (clock_.Now() < compact_at) continue;
    const milliseconds pause = busy ? kCompactPauseBusy : kCompactPauseIdle;
    compact_at = clock_.Now() + (CompactOnce() ? pause : kCompactInterval);
  }
}

void Committer::CommitAll(std::vector<CommitJob> jobs) {
  std::vector<CommitJob> group;
  std::size_t batches = 0, bytes = 0;
  const auto flush = [&] {
    CommitOnce(std::exchange(group, {}), clock_, store_, listener_);
    waiting_bytes_.fetch_sub(bytes);
    batches = bytes = 0;
  };
  for (CommitJob& job : jobs) {
    const std::size_t job_batches = JobBatches(job), job_bytes = JobBytes(job);
    const bool fits = batches + job_batches <= common::kCommitGroupBatchesMax &&
                      bytes + job_bytes <= common::kCommitGroupBytesMax;
    if (!fits && !group.empty()) flush();
    batches += job_batches;
    bytes += job_bytes;
    group.push_back(std::move(job));
  }
  flush();
}

std::chrono::milliseconds Committer::UntilExpiry() const {
  const std::optional<std::int64_t> next = store_.next_expiry_ms();
  return next ? milliseconds(std::max<std::int64_t>(*next - clock_.UnixMillis(), 0))
              : kCompactInterval;
}

bool Committer::ExpireOnce(const common::Clock& clock, Store& store, CommitListener& listener) {
  const auto expired = store.Expire(clock.UnixMillis(), kExpiredPerCommitMax);
  if (!expired.ok()) return false;  // shows at the next commit, too
  if (!expired->datasets.empty()) listener.OnCommitted(expired->datasets, nullptr);
  return true;
}

bool Committer::CompactOnce() {
  const std::int64_t before_ms = clock_.UnixMillis() - options_.tombstone_retention.count();
  const auto more = store_.Compact(before_ms, options_.tombstones_max, kCompactBudget);
  return more.ok() && *more;  // a failure shows at the next commit, too, and is tried again
}

void Committer::CommitOnce(std::vector<CommitJob> jobs, const common::Clock& clock, Store& store,
                           CommitListener& listener) {
  GroupBuilder builder(store.catalog(), clock.UnixMillis());
  std::vector<DeclareResult> declared;
  for (CommitJob& job : jobs) {
    if (auto* const publish = std::get_if<PublishJob>(&job)) {
      builder.Add(*publish);
    } else {
      declared.push_back(builder.Add(std::get<DeclareJob>(job)));
    }
  }
  std::vector<Outcome> outcomes;
  if (!builder.IsEmpty()) {
    auto committed = store.Commit(builder.group());
    const bool full = committed.status().code() == common::StatusCode::kResourceExhausted;
    if (full) {
      for (DeclareResult& answer : declared) {
        if (answer.ok()) answer = committed.status();
      }
      committed = CommitRemovals(builder.group(), store, committed.status());
    }
    if (!committed.ok()) return AnswerAll(jobs, committed.status());
    outcomes = *std::move(committed);
    CHECK(outcomes.size() == builder.group().batches.size());
    const bool redeclared = !full && !builder.group().declarations.empty();
    listener.OnCommitted(ChangedDatasets(builder.group(), outcomes),
                         redeclared ? store.catalog() : nullptr);
  }
  Answer(jobs, declared, std::move(outcomes));
}

}  // namespace cp
