// For tests: an agent's servers on a real socket, over a cache that takes writes at once.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache_fixture.h"
#include "agent/server/server_pool.h"
#include "agent/server/socket_fixture.h"
#include "tests/fakes/fake_reads.h"
#include "tests/fakes/loopback_port.h"

namespace agent {

template <class Condition>
bool Eventually(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

class ServerFixture : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    auto cache = Cache::Open({.dir = dir_.path() + "/data", .service = "s", .map_bytes = 1 << 28});
    ASSERT_TRUE(cache.ok()) << cache.status();
    cache_ = *std::move(cache);
    options_.path = dir_.path() + "/agent.sock";
    options_.service = "s";
    auto status = std::make_shared<AgentStatus>();
    status->wanted_known = true;
    board_.Put(status);
  }
  void TearDown() override {
    StopServer();
    port_.inner.reset();
    server_.reset();
    cache_.reset();
  }

  // Serves dataset "ds", empty, that the client owns.
  void Start() {
    std::vector<std::unique_ptr<Reader>> readers;
    for (std::size_t i = 0; i < threads_; ++i) {
      readers.push_back(*cache_->MakeReader(/*index_bytes=*/1 << 20));
    }
    auto counting = cache_->MakeReader();
    ASSERT_TRUE(counting.ok());
    server_ =
        std::make_unique<ServerPool>(options_, std::move(readers), port_, reads_, board_, *clock_);
    auto writer = cache_->MakeWriter(server_->listener());
    const common::Collection ds{.dataset = "ds", .prefix = ""};
    const common::Version version{.epoch = LoopbackPort::kEpoch, .revision = 1};
    ASSERT_TRUE(writer->Add(ds).ok() && writer->BeginLoad(ds, version).ok() &&
                writer->Apply(ds, {}, version).ok());
    port_.inner = std::make_unique<LoopbackPort>(std::move(writer), std::set<std::string>{"ds"}, 1);
    port_.inner->reader = *std::move(counting);
    const common::Status listening = server_->Listen();
    ASSERT_TRUE(listening.ok()) << listening;
    server_->Start();
  }
  void StopServer() {
    if (server_ == nullptr) return;
    server_->Stop();
    server_->Join();
  }

  std::string Ask(const std::string& request, std::size_t reply_bytes) {
    RawClient client(options_.path);
    client.Write(request);
    return client.Read(reply_bytes);
  }

  TempDir dir_;
  common::SystemClock system_clock_;
  const common::Clock* clock_ = &system_clock_;  // before Start
  StatusBoard board_;
  ServerOptions options_;
  std::unique_ptr<Cache> cache_;
  GatedPort port_;
  FakeReads reads_;
  std::size_t threads_ = 1;
  std::unique_ptr<ServerPool> server_;
};

}  // namespace agent
