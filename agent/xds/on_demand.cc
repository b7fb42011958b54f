#include "agent/xds/on_demand.h"

#include <algorithm>

namespace agent {
namespace {

using common::Collection;
using common::Error;
using common::MonotonicTime;
using common::Status;
using common::StatusCode;

constexpr std::size_t kSample = 8;
constexpr std::size_t kSweepPart = 4096;  // names looked at per sweep
constexpr std::chrono::milliseconds kSketchTick{1'000};

}  // namespace

// --- names --------------------------------------------------------------------------------------

OnDemand::Name* OnDemand::Find(const Collection& collection, std::string_view key) {
  const auto copy = copies_.find(collection);
  if (copy == copies_.end()) return nullptr;
  const auto name = copy->second.find(key);
  return name == copy->second.end() ? nullptr : &name->second;
}

const OnDemand::Name* OnDemand::Find(const Collection& collection, std::string_view key) const {
  return const_cast<OnDemand*>(this)->Find(collection, key);
}

OnDemand::Name& OnDemand::Insert(const HeldName& name) {
  Name& added = copies_[name.collection][name.key];
  added.dense = dense_.size();
  dense_.push_back(name);
  return added;
}

void OnDemand::Erase(const HeldName& held) {
  const HeldName name = held;  // it may be the one in dense_
  Names_& names = copies_.at(name.collection);
  const auto it = names.find(name.key);
  CHECK(it != names.end());
  bytes_ -= it->second.bytes;
  const std::size_t hole = it->second.dense;
  if (hole + 1 != dense_.size()) {
    dense_[hole] = std::move(dense_.back());
    copies_.at(dense_[hole].collection).find(dense_[hole].key)->second.dense = hole;
  }
  dense_.pop_back();
  names.erase(it);
}

std::optional<Collection> OnDemand::CopyOf(std::string_view dataset, std::string_view key) const {
  auto it = copies_.upper_bound(Collection{std::string(dataset), std::string(key)});
  while (it != copies_.begin()) {
    --it;
    if (it->first.dataset != dataset) return std::nullopt;
    if (it->first.Covers(key)) return it->first;
  }
  return std::nullopt;
}

std::vector<HeldName> OnDemand::DropCopy(const Collection& collection, const Status& why) {
  std::vector<HeldName> dropped;
  const auto copy = copies_.find(collection);
  if (copy == copies_.end()) return dropped;
  while (!copy->second.empty()) {
    const HeldName name{collection, copy->second.begin()->first};
    Fail(name, why);
    if (Find(collection, name.key) != nullptr) Erase(name);
    dropped.push_back(name);
  }
  copies_.erase(copy);
  return dropped;
}

void OnDemand::Recall(const Collection& collection, std::string_view key, std::size_t bytes,
                      bool absent, MonotonicTime now) {
  const HeldName name{collection, std::string(key)};
  if (Find(collection, key) != nullptr) return;
  Insert(name);
  Stored(name, bytes, absent, now);
}

bool OnDemand::Wants(const Collection& collection, std::string_view key) const {
  return Find(collection, key) != nullptr;
}

bool OnDemand::IsAsked(const HeldName& name) const {
  const Name* found = Find(name.collection, name.key);
  return found != nullptr && found->state == State::kAsked;
}

void OnDemand::Stored(const HeldName& held, std::size_t bytes, bool absent, MonotonicTime now) {
  Name* name = Find(held.collection, held.key);
  if (name == nullptr) return;
  bytes_ += bytes - name->bytes;
  name->bytes = bytes;
  if (name->state == State::kAsked) fresh_.push_back(held);
  name->state = absent ? State::kAbsent : State::kHeld;
  name->until = now + limits_.absence;
}

std::vector<HeldName> OnDemand::Names() const { return dense_; }

// --- questions ----------------------------------------------------------------------------------

void OnDemand::Finish(Question& question, Status status) {
  if (question.asked.done == nullptr) return;
  DemandAnswer answer{.status = std::move(status), .as_of = question.as_of};
  if (answer.status.ok()) answer.entries = std::move(question.entries);
  std::exchange(question.asked.done, nullptr)(std::move(answer));
}

OnDemand::Asked OnDemand::Ask(DemandQuestion asked, MonotonicTime now) {
  Asked out;
  auto question = std::make_shared<Question>();
  question->asked = std::move(asked);
  question->missing = question->asked.keys.size();
  question->entries.resize(question->missing);
  question->as_of = MonotonicTime::max();
  if (deadlines_.size() >= limits_.waiting) {
    Finish(*question,
           Error(StatusCode::kResourceExhausted, "{} reads wait already", limits_.waiting));
    return out;
  }
  for (const std::string& key : question->asked.keys) {
    if (CopyOf(question->asked.dataset, key)) continue;
    Finish(*question, Error(StatusCode::kFailedPrecondition, "no on-demand copy covers '{}/{}'",
                            question->asked.dataset, key));
    return out;
  }
  deadlines_.emplace(std::max(question->asked.deadline, now), question);
  for (std::size_t i = 0; i < question->asked.keys.size(); ++i) {
    const std::string& key = question->asked.keys[i];
    const HeldName held{*CopyOf(question->asked.dataset, key), key};
    Name* name = Find(held.collection, key);
    if (name == nullptr) {
      name = &Insert(held);
      out.subscribe.push_back(held);
    } else if (name->state != State::kAsked) {
      out.tell.push_back(held);
    }
    name->waiters.push_back({question, i});
  }
  return out;
}

void OnDemand::Answer(Name& name, const DemandEntry& entry, MonotonicTime as_of) {
  for (Waiter& waiter : std::exchange(name.waiters, {})) {
    Question& question = *waiter.question;
    if (question.asked.done == nullptr) continue;  // too late
    question.entries[waiter.index] = entry;
    question.as_of = std::min(question.as_of, as_of);
    if (--question.missing == 0) Finish(question, common::OkStatus());
  }
}

void OnDemand::Tell(const HeldName& held, const DemandEntry& entry, MonotonicTime as_of) {
  if (Name* name = Find(held.collection, held.key); name != nullptr) Answer(*name, entry, as_of);
}

// A name that has no value yet is forgotten: the next question asks again.
void OnDemand::Fail(const HeldName& held, const Status& why) {
  Name* name = Find(held.collection, held.key);
  if (name == nullptr) return;
  for (Waiter& waiter : std::exchange(name->waiters, {})) Finish(*waiter.question, why);
  if (name->state == State::kAsked) Erase(held);
}

std::vector<HeldName> OnDemand::FailAll(const Status& why) {
  std::vector<HeldName> waiting;
  for (const auto& [collection, names] : copies_) {
    for (const auto& [key, name] : names) {
      if (name.state == State::kAsked) waiting.push_back({collection, key});
    }
  }
  for (const HeldName& name : waiting) Fail(name, why);
  return waiting;
}

std::optional<MonotonicTime> OnDemand::deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

// --- what must go -------------------------------------------------------------------------------

bool OnDemand::IsDue(const HeldName& held, const Name& name, MonotonicTime now) const {
  if (name.state == State::kAsked || !name.waiters.empty()) return false;
  if (name.state == State::kAbsent && now >= name.until) return true;
  return sketch_.Idle(Hash_(held)) * kSketchTick > limits_.idle;
}

// Index in dense_ of the least used of a sample.
std::size_t OnDemand::LeastUsed() {
  std::size_t least = random_() % dense_.size();
  for (std::size_t i = 1; i < kSample; ++i) {
    const std::size_t other = random_() % dense_.size();
    const Name* name = Find(dense_[other].collection, dense_[other].key);
    if (name->state == State::kAsked) continue;
    if (sketch_.Count(Hash_(dense_[other])) < sketch_.Count(Hash_(dense_[least]))) least = other;
  }
  return least;
}

std::vector<HeldName> OnDemand::Sweep(MonotonicTime now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    if (const auto question = deadlines_.begin()->second.lock()) {
      Finish(*question, Error(StatusCode::kDeadlineExceeded, "the control plane did not answer"));
    }
    deadlines_.erase(deadlines_.begin());
  }
  std::vector<HeldName> gone;
  DropIdle(now, gone);
  AdmitFresh(gone);
  DropLeastUsed(gone);
  evicted_ += gone.size();
  return gone;
}

void OnDemand::DropIdle(MonotonicTime now, std::vector<HeldName>& gone) {
  for (std::size_t i = 0; i < kSweepPart && !dense_.empty(); ++i) {
    if (sweep_at_ >= dense_.size()) {
      sweep_at_ = 0;
      if (i > 0) break;  // once round
    }
    const HeldName held = dense_[sweep_at_];
    if (!IsDue(held, *Find(held.collection, held.key), now)) {
      ++sweep_at_;
      continue;
    }
    Erase(held);
    gone.push_back(held);
  }
}

void OnDemand::AdmitFresh(std::vector<HeldName>& gone) {
  for (const HeldName& newcomer : std::exchange(fresh_, {})) {
    if (dense_.size() <= limits_.names && bytes_ <= limits_.bytes) break;
    if (Find(newcomer.collection, newcomer.key) == nullptr) continue;
    const HeldName least = dense_[LeastUsed()];
    const bool admitted = sketch_.Count(Hash_(newcomer)) > sketch_.Count(Hash_(least));
    if (!admitted) ++refused_;
    const HeldName& loser = admitted ? least : newcomer;
    if (!Find(loser.collection, loser.key)->waiters.empty()) continue;
    gone.push_back(loser);
    Erase(loser);
  }
}

void OnDemand::DropLeastUsed(std::vector<HeldName>& gone) {
  while (!dense_.empty() && (dense_.size() > limits_.names || bytes_ > limits_.bytes)) {
    const HeldName least = dense_[LeastUsed()];
    if (IsAsked(least) || !Find(least.collection, least.key)->waiters.empty()) break;
    gone.push_back(least);
    Erase(least);
  }
}

}  // namespace agent
