#include "tests/sim/sim_world.h"

#include <filesystem>
#include <utility>

#include "tests/sim/sim_link.h"

namespace sim {
namespace {

constexpr int kKeys = 40;

common::Dataset DatasetNamed(const std::string& name, bool grant_b) {
  common::Dataset dataset{.name = name, .owner = "owner", .consumers = {"a", "c"}};
  if (grant_b) dataset.consumers.emplace_back("b");
  return dataset;
}

common::Subscription Wish(const std::string& service, const std::string& dataset,
                          const std::string& prefix) {
  return {.name = service + "-" + dataset,
          .service = service,
          .collection = {dataset, prefix},
          .mode = common::Mode::kReplicate,
          .consistency = {}};
}

}  // namespace

SimWorld::SimWorld(SimOptions options) : options_(std::move(options)), random_(options_.seed) {
  std::filesystem::remove_all(options_.dir);
  control_plane_ = std::make_unique<SimControlPlane>(options_.dir + "/cp", queue_, *this);
  history_ = History(control_plane_->store().epoch());
  for (const char* dataset : {"x", "y"}) control_plane_->Declare(DatasetNamed(dataset, true));
  for (const char* service : {"a", "b"}) {
    for (const char* dataset : {"x", "y"}) control_plane_->Declare(Wish(service, dataset, ""));
  }
  control_plane_->Declare(Wish("c", "x", "k1"));
  for (const char* service : {"a", "b", "c"}) {
    links_.push_back(std::make_unique<Link>(*this, options_.dir + "/" + service, service));
  }
}

SimWorld::~SimWorld() {
  links_.clear();
  control_plane_.reset();
  std::filesystem::remove_all(options_.dir);
}

std::uint64_t SimWorld::Random(std::uint64_t below) { return random_() % below; }

std::string SimWorld::RandomKey() { return fmt::format("k{:02}", Random(kKeys)); }

SimWorld::Link* SimWorld::FindLink(cp::StreamId stream) {
  for (const auto& link : links_) {
    if (link->stream() == stream) return link.get();
  }
  return nullptr;
}

void SimWorld::Send(cp::StreamId stream, cp::Response response) {
  if (Link* link = FindLink(stream)) link->Deliver(std::move(response));
}

void SimWorld::ReadNext(cp::StreamId stream) {
  if (Link* link = FindLink(stream)) link->ReadNext();
}

void SimWorld::Close(cp::StreamId stream, common::Status status) {
  if (Link* link = FindLink(stream)) link->BreakLater(status);
}

// A batch writes or deletes several keys of both datasets at once.
void SimWorld::PublishSome() {
  std::vector<cp::Write> writes;
  std::map<std::string, Content> after{{"x", history_.Now("x")}, {"y", history_.Now("y")}};
  const std::uint64_t count = 1 + Random(6);
  for (std::uint64_t i = 0; i < count; ++i) {
    cp::Write write{
        .dataset = Random(2) == 0 ? "x" : "y", .key = RandomKey(), .value = std::nullopt};
    if (Random(4) != 0) {
      write.value =
          fmt::format("{}:{}", commits, i) + std::string(Random(options_.value_bytes_max), '.');
      after[write.dataset][write.key] = *write.value;
    } else {
      after[write.dataset].erase(write.key);
    }
    writes.push_back(std::move(write));
  }
  const cp::Outcome outcome = control_plane_->Publish("owner", std::move(writes));
  CHECK(outcome.status.ok());
  ++commits;
  for (auto& [dataset, content] : after) {
    if (content != history_.Now(dataset))
      history_.Record(dataset, outcome.revision, std::move(content));
  }
}

void SimWorld::Regrant() {
  const std::string now_denied = denied_to_b_.empty() ? "x" : "";
  control_plane_->Declare(DatasetNamed("x", now_denied.empty()));
  denied_to_b_ = now_denied;
}

void SimWorld::Resubscribe() {
  c_wants_all_ = !c_wants_all_;
  control_plane_->Declare(Wish("c", "x", c_wants_all_ ? "" : "k1"));
}

void SimWorld::RestartControlPlane() {
  control_plane_->Restart();
  BreakAll();
  ++restarts;
}

void SimWorld::BreakAll() {
  for (const auto& link : links_)
    link->Break(common::Error(common::StatusCode::kUnavailable, "gone"));
}

void SimWorld::SaveBackup() {
  const cp::Store& store = control_plane_->store();
  saved_ = Saved{.file = control_plane_->Backup(),
                 .at = {.epoch = store.epoch(), .revision = (*store.OpenView())->head()},
                 .denied_to_b = denied_to_b_,
                 .c_wants_all = c_wants_all_};
}

// What was committed after the backup is gone, and its revisions are given out again.
void SimWorld::RestoreBackup() {
  if (!saved_) return;
  control_plane_->Restore(saved_->file, fmt::format("{}/cp-{}", options_.dir, ++restores));
  history_.Fork(saved_->at.epoch, saved_->at.revision, control_plane_->store().epoch());
  denied_to_b_ = saved_->denied_to_b;
  c_wants_all_ = saved_->c_wants_all;
  BreakAll();
}

void SimWorld::Step() {
  // Without it the seeds of old mean what they meant.
  const std::uint64_t fork = options_.restores ? Random(100) : 100;
  if (fork < 4) SaveBackup();
  if (fork >= 98 && fork < 100) RestoreBackup();
  const std::uint64_t dice = Random(100);
  if (dice < 60) {
    PublishSome();
  } else if (dice < 70) {
    links_[Random(links_.size())]->Break(
        common::Error(common::StatusCode::kUnavailable, "dropped"));
    ++drops;
  } else if (dice < 76) {
    links_[Random(links_.size())]->RestartAgent();
    ++restarts;
  } else if (dice < 79) {
    RestartControlPlane();
  } else if (dice < 82) {
    control_plane_->DropTombstones();
  } else if (dice < 85) {
    Regrant();
  } else if (dice < 88) {
    Resubscribe();
  } else {
    queue_.RunFor(std::chrono::milliseconds(Random(3000)));
  }
  queue_.RunFor(std::chrono::microseconds(Random(30'000)));
}

std::string SimWorld::CheckAll() {
  for (const auto& link : links_) {
    if (std::string wrong = link->agent().CheckReads(); !wrong.empty()) return wrong;
  }
  return {};
}

std::string SimWorld::Settle() {
  queue_.RunFor(std::chrono::seconds(60));
  for (const auto& link : links_) repairs += link->agent().repairs();
  if (std::string wrong = CheckAll(); !wrong.empty()) return wrong;
  for (const auto& link : links_) {
    SimAgent& agent = link->agent();
    std::vector<common::Collection> wanted{{"x", ""}, {"y", ""}};
    if (agent.service() == "c") wanted = {{"x", c_wants_all_ ? "" : "k1"}};
    const std::string denied = agent.service() == "b" ? denied_to_b_ : "-";
    if (std::string wrong = agent.CheckSettled(wanted, denied); !wrong.empty()) return wrong;
    if (std::string wrong = agent.CheckFiles(); !wrong.empty())
      return agent.service() + ": " + wrong;
  }
  return {};
}

std::string SimWorld::Run() {
  for (int step = 0; step < options_.steps; ++step) {
    Step();
    if (std::string wrong = CheckAll(); !wrong.empty()) {
      return fmt::format("step {}: {}", step, wrong);
    }
  }
  return Settle();
}

}  // namespace sim
