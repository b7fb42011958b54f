// For tests: sessions over a real cache, without sockets. Writes are recorded and settled by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/cache/cache_fixture.h"
#include "agent/server/loop_parts.h"
#include "agent/server/session.h"

namespace agent {

class ManualClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return unix_ms; }
  common::MonotonicTime now{std::chrono::hours(1)};
  std::int64_t unix_ms = 1'700'000'000'000;
};

// A loop beside the sessions that are tested by hand: remembers what they ask of it.
class FakeLoop final : public LoopPort {
 public:
  [[nodiscard]] bool Adopt(std::uint64_t, uv::Connected) override { return false; }
  [[nodiscard]] bool Ask(std::function<void(Services&)> question) override {
    if (ended) return false;
    questions.push_back(std::move(question));
    return true;
  }
  void Invalidate(std::uint64_t client, std::optional<std::string_view> key) override {
    invalidated.emplace_back(client, key.value_or("everything"));
  }
  const ServerStats& stats() const override { return services == nullptr ? none : services->stats; }
  std::size_t subscribers() const override {
    return services == nullptr ? 0 : services->subscriptions.subscribers();
  }

  Services* services = nullptr;  // whose loop this is; null: none
  bool ended = false;
  std::deque<std::function<void(Services&)>> questions;
  std::vector<std::pair<std::uint64_t, std::string>> invalidated;
  const ServerStats none;
};

class SessionFixture : public CacheFixture {
 protected:
  struct Submitted {
    std::uint64_t session;
    std::uint64_t ticket;
    std::vector<SocketWrite> writes;
    std::vector<SocketCheck> checks;
  };

  struct Asked {
    std::uint64_t session;
    std::uint64_t ticket;
    ReadQuestion question;
  };

  void SetUp() override {
    CacheFixture::SetUp();
    auto made = cache_->MakeReader(/*index_bytes=*/1 << 20);
    ASSERT_TRUE(made.ok());
    parts_ = std::make_unique<LoopParts>(
        *std::move(made), board_, clock_, shared_,
        ServerIdentity{.service = "billing.finance", .socket = "/run/s", .started = {}});
    parts_->services.submit = [this](auto session, auto ticket, auto batch) {
      submitted_.push_back({session, ticket, std::move(batch.writes), std::move(batch.checks)});
    };
    parts_->services.ask = [this](auto session, auto ticket, auto question) {
      asked_.push_back({session, ticket, std::move(question)});
    };
    loop_.services = &parts_->services;
    shared_.loops = {&loop_};
    auto status = std::make_shared<AgentStatus>();
    status->wanted_known = true;
    board_.Put(status);
    session_ = std::make_unique<Session>(7, parts_->services);
  }
  void TearDown() override {
    session_.reset();
    parts_.reset();
    CacheFixture::TearDown();
  }

  // What the session answers to these bytes at once.
  std::string Send(std::string_view bytes) { return Send(*session_, bytes); }
  std::string Send(Session& session, std::string_view bytes) {
    FillIndex();
    session.Receive(bytes);
    return Output(session);
  }
  std::string Output() { return Output(*session_); }
  std::string Output(Session& session) {
    session.ClearTouched();
    parts_->services.touched.clear();
    parts_->snapshot.Release();
    return std::exchange(session.output(), {});
  }

  // With all entries, so that reads take the shortest way that they may.
  void FillIndex() {
    while (parts_->snapshot.FillIndex(1000)) continue;
    parts_->snapshot.Release();
  }

  // Gives the oldest write under way its outcome; returns what the session answers then.
  std::string Settle(WriteOutcome outcome) {
    const Submitted first = std::move(submitted_.front());
    submitted_.pop_front();
    parts_->snapshot.Release();
    session_->OnOutcome(first.ticket, std::move(outcome));
    return Output();
  }
  // `skipped`: which of its writes did nothing.
  std::string SettleOk(common::Revision revision, std::vector<unsigned> skipped = {}) {
    WriteOutcome outcome{.status = common::OkStatus(), .version = At(revision)};
    for (const unsigned write : skipped) {
      outcome.skipped.resize(std::max<std::size_t>(outcome.skipped.size(), write / 8 + 1));
      outcome.skipped[write / 8] = static_cast<char>(outcome.skipped[write / 8] | 1 << write % 8);
    }
    return Settle(std::move(outcome));
  }
  std::string SettleError(common::StatusCode code, const std::string& message) {
    return Settle({.status = common::Error(code, "{}", message), .version = {}});
  }
  // "ds/a=1 ds/b=-" of the batch submitted last.
  std::string LastBatch() const {
    std::string text;
    for (const SocketWrite& write : submitted_.back().writes) {
      if (!text.empty()) text += " ";
      text += write.dataset + "/" + write.key + "=" + write.value.value_or("-");
    }
    return text;
  }

  void Put(const std::string& dataset, const std::string& key, const std::string& value) {
    Changes changes;
    changes.Put(key, At(++revision_), value);
    ASSERT_EQ(writer_->Apply({.dataset = dataset, .prefix = ""}, changes.Views(), At(revision_)),
              common::OkStatus());
  }
  // A complete copy of a whole dataset with these keys; each value is "v" and its key.
  void Load(const std::string& dataset, const std::vector<std::string>& keys) {
    Changes changes;
    for (const std::string& key : keys) changes.Put(key, At(revision_), "v" + key);
    LoadCopy({.dataset = dataset, .prefix = ""}, changes, revision_);
  }

  ManualClock clock_;
  StatusBoard board_;
  SharedServices shared_{/*threads=*/2, common::kClientsMax};
  FakeLoop loop_;  // of parts_; tests may add others
  std::unique_ptr<LoopParts> parts_;
  std::unique_ptr<Session> session_;
  std::deque<Submitted> submitted_;
  std::deque<Asked> asked_;
  common::Revision revision_ = 10;
};

}  // namespace agent
