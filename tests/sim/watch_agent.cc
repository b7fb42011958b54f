#include "tests/sim/watch_agent.h"

#include "common/entry.h"

namespace sim {
namespace {

const common::Collection kAll{.dataset = "d", .prefix = ""};

common::Version HeadOf(const cp::Store& store, common::Revision revision) {
  return {.epoch = store.epoch(), .revision = revision};
}

agent::Change ChangeOf(const cp::Stored& stored) {
  agent::Change change{.key = stored.key, .version = stored.version, .entry = {}};
  if (!stored.resource.empty()) change.entry = common::EntryOfResource(stored.resource);
  return change;
}

}  // namespace

WatchAgent::WatchAgent(const std::string& dir, common::Mode mode, const common::Clock& clock,
                       const cp::Store& store)
    : mode_(mode), clock_(clock), store_(store) {
  cache_ = *agent::Cache::Open({.dir = dir, .service = "s", .map_bytes = std::size_t{1} << 30});
  writer_ = cache_->MakeWriter(*this);
  parts_ =
      std::make_unique<agent::LoopParts>(*cache_->MakeReader(/*index_bytes=*/1 << 20), board_,
                                         clock_, shared_, agent::ServerIdentity{.service = "s"});
  parts_->services.submit = [this](auto session, auto ticket, auto batch) {
    submitted.push_back({session, ticket, std::move(batch)});
  };
  parts_->services.ask = [this](auto session, auto ticket, auto question) {
    asked.push_back({session, ticket, std::move(question)});
  };
  auto status = std::make_shared<agent::AgentStatus>();
  status->wanted_known = true;
  if (mode_ != common::Mode::kReadThrough) {
    status->copies.push_back({.collection = kAll, .mode = mode_});
    CHECK(writer_->Add(kAll, mode_ == common::Mode::kOnDemand).ok());
  }
  board_.Put(std::move(status));
  Sync();
}

agent::Session& WatchAgent::AddSession(std::uint64_t id) {
  sessions_.push_back(std::make_unique<agent::Session>(id, parts_->services));
  return *sessions_.back();
}

std::string WatchAgent::Take(agent::Session& session) {
  session.ClearTouched();
  parts_->services.touched.clear();
  parts_->snapshot.Release();
  return std::exchange(session.output(), {});
}

// --- the copy ---------------------------------------------------------------------------------

void WatchAgent::Sync() {
  if (mode_ == common::Mode::kReadThrough) return;
  const auto view = *store_.OpenView();
  const cp::DatasetState state = **view->Dataset(kAll.dataset);
  const bool whole = mode_ == common::Mode::kReplicate;
  if (whole && (at_.epoch == 0 || at_.revision < state.floor)) Load();
  Apply(*view, state);
  at_ = HeadOf(store_, state.head);
  parts_->snapshot.Release();
  EndWaits();
}

void WatchAgent::Load() {
  CHECK(writer_->BeginLoad(kAll, {}).ok());
  at_ = {};
}

// As a stream brings it: the latest change of each key, or what there is of those that are held.
void WatchAgent::Apply(const cp::View& view, const cp::DatasetState& state) {
  std::vector<agent::Change> changes;
  std::deque<std::string> held;
  const auto take = [&](const cp::Stored& stored) {
    changes.push_back(ChangeOf(stored));
    return true;
  };
  if (mode_ == common::Mode::kReplicate) {
    CHECK(view.ScanChanges(state.id, {}, cp::EndOf(at_.revision), take).ok());
  } else {
    CHECK(writer_
              ->EachVersion(kAll,
                            [&](std::string_view key, const agent::EntryVersion&) {
                              changes.push_back(NameOf(view, state, held.emplace_back(key)));
                              return true;
                            })
              .ok());
  }
  CHECK(writer_->Apply(kAll, changes, HeadOf(store_, state.head)).ok());
}

// An absence is dated by the whole store's head.
agent::Change WatchAgent::NameOf(const cp::View& view, const cp::DatasetState& state,
                                 const std::string& key) const {
  const auto stored = *view.Get(state.id, key);
  agent::Change change{.key = key, .version = HeadOf(store_, view.head()), .entry = {}};
  if (stored) {
    change.version = stored->version;
    change.entry = common::EntryOfResource(stored->resource);
  }
  change.absent = !stored;
  return change;
}

void WatchAgent::EndWaits() {
  const auto over = parts_->waits.TakeOver(
      [this](const agent::WaitTarget& target) { return parts_->snapshot.Reached(target); },
      clock_.Now());
  for (const agent::Waits::Over& one : over) {
    sessions_.at(one.session - 1)->OnWaitOver(one.ticket, one.in_time);
  }
}

// --- the control plane ------------------------------------------------------------------------

agent::ReadAnswer WatchAgent::Read(const agent::ReadQuestion& question) {
  const auto view = *store_.OpenView();
  const cp::DatasetState state = **view->Dataset(kAll.dataset);
  const bool demand = question.kind == agent::ReadQuestion::Kind::kOnDemand;
  const common::Version head = HeadOf(store_, demand ? view->head() : state.head);
  agent::ReadAnswer answer{.status = common::OkStatus(), .entries = {}, .epoch = head.epoch};
  answer.as_of = clock_.Now();
  for (const std::string& key : question.keys) {
    const agent::Change change = NameOf(*view, state, key);
    if (demand) CHECK(writer_->Apply(kAll, {&change, 1}, at_).ok());
    const bool found = !change.absent && !cp::HasExpired(*change.entry, clock_.UnixMillis());
    answer.entries.push_back({.key = key,
                              .found = found,
                              .value = found ? std::string(change.entry->value) : std::string(),
                              .version = found ? change.version : head,
                              .expires_at_ms = found ? change.entry->expires_at_ms : 0});
  }
  parts_->snapshot.Release();
  return answer;
}

void WatchAgent::Tell(Asked asked_one) {
  sessions_.at(asked_one.session - 1)
      ->OnAnswer(asked_one.ticket, asked_one.question.dataset, std::move(asked_one.answer));
  parts_->snapshot.Release();
}

void WatchAgent::Tell(Submitted submitted_one) {
  sessions_.at(submitted_one.session - 1)
      ->OnOutcome(submitted_one.ticket, std::move(submitted_one.outcome));
  parts_->snapshot.Release();
}

}  // namespace sim
